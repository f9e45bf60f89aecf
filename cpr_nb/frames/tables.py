"""Declares every column of every table, with its meaning; docs/tables.md is generated from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cpr_nb.frames.columns import TIME, Column

# The files that values come from.
_STATUS, _SPEC, _RUNNER = "status.json", "session.json", "runner.json"
_STREAM, _FOLDER, _ANSWER = "stream", "folder", "task-<id>.txt"


def _columns(source: str, *columns: tuple[str, str, str], default: bool) -> Iterator[Column]:
    for name, dtype, doc in columns:
        yield Column(name, dtype, doc, source, default)


def _tokens(whose: str, source: str, *, default: bool = False) -> tuple[Column, ...]:
    return tuple(
        _columns(
            source,
            (
                "input_tokens",
                "Int64",
                f"input tokens of {whose}, without those of the prompt cache",
            ),
            ("output_tokens", "Int64", f"output tokens of {whose}"),
            ("cache_read_tokens", "Int64", f"tokens that {whose} read from the prompt cache"),
            ("cache_write_tokens", "Int64", f"tokens that {whose} wrote to the prompt cache"),
            default=default,
        )
    )


_IDS = (
    Column("session_id", "string", "the session", _FOLDER),
    Column("task_id", "string", "the task", _STATUS),
)

SESSIONS = (
    Column("name", "string", "the name that the user gave the session", _STATUS),
    Column("state", "session state", "the current state", "status.json, runner.lock"),
    Column("n_tasks", "Int64", "number of tasks", _STATUS),
    Column("n_pending", "Int64", "tasks that have not started", _STATUS),
    Column("n_running", "Int64", "tasks that run, or wait for their next attempt", _STATUS),
    Column("n_succeeded", "Int64", "tasks that succeeded", _STATUS),
    Column("n_failed", "Int64", "tasks that failed, timed out or were lost", _STATUS),
    Column("n_denials", "Int64", "tool calls that were denied by the permissions", _STATUS),
    Column("cost_usd", "Float64", "US dollars so far, the CLI's own estimate", _STATUS),
    Column("duration_s", "Float64", "seconds from the start to the end, or to now", _STATUS),
    Column("created_at", TIME, "when the session was launched", _STATUS),
    Column(
        "foreign",
        "boolean",
        "whether this user has not launched it on this machine; missing if that can't be told",
        "status.json, state directory",
    ),
    Column("session_id", "string", "the session's id", _FOLDER),
    *_columns(
        _STATUS,
        ("n_cancelled", "Int64", "tasks that were cancelled"),
        ("n_skipped", "Int64", "tasks that did not start and never will"),
        ("n_questions", "Int64", "questions that wait for an answer; missing once it has ended"),
        ("n_reused", "Int64", "rows whose answers other sessions have; missing if none"),
        ("started_at", TIME, "when the runner started"),
        ("ended_at", TIME, "when the last task ended"),
        default=False,
    ),
    *_tokens("the ended tasks", _STATUS),
    *_columns(
        _STATUS,
        ("n_unknown_costs", "Int64", "attempts whose cost is unknown; missing if none"),
        ("max_parallel", "Int64", "how many tasks may run at the same time; 0 for no limit"),
        (
            "parallel_now",
            "Int64",
            "how many may run now, while nobody has set it",
        ),
        ("parallel_why", "string", "why it is that number: the cores are busy, …"),
        ("model", "string", "the requested model"),
        ("permissions", "string", "what the agents may do without asking"),
        ("executor", "string", "the executor that runs the tasks"),
        default=False,
    ),
    *_columns(
        _RUNNER,
        ("host", "string", "the machine of the runner"),
        ("claude_version", "string", "the version of the CLI"),
        default=False,
    ),
    *_columns(
        _STATUS,
        ("cwd", "string", "the folder in which the session was launched"),
        default=False,
    ),
    *_columns(
        _RUNNER,
        ("git_commit", "string", "the commit of this folder at the launch"),
        ("git_tree", "string", "the tree of this commit"),
        default=False,
    ),
    *_columns(
        _STATUS,
        (
            "waiting_for",
            "string",
            "what a live session waits for: limit, login, reserve, time, nodes, disk …",
        ),
        ("waiting_until", TIME, "until when it waits, if that is known"),
        ("notice", "string", "one line that deserves attention"),
        ("warnings", "string", "what its runner warned of; see Session.warnings"),
        ("parent_session_id", "string", "the session that this one is a rerun of"),
        default=False,
    ),
    Column("path", "string", "the session's folder", _FOLDER, default=False),
)

TASKS = (
    Column("task_num", "Int64", "the task's number in the session, from 1", _STATUS),
    Column(
        "prompt", "string", "the prompt; for a legacy session only its first 50 characters", _SPEC
    ),
    Column("state", "task state", "the current state", _STATUS),
    Column("outcome", "outcome", "how the task ended; missing until then", _STATUS),
    Column("ok", "boolean", "whether the task succeeded; missing until it ended", _STATUS),
    Column("reason", "string", "the reason for this outcome, in one word", _STATUS),
    Column(
        "n_denials",
        "Int64",
        "tool calls that were denied by the permissions; missing if the task never started",
        _STATUS,
    ),
    Column(
        "cost_usd",
        "Float64",
        "US dollars for all attempts, the CLI's own estimate; missing if none of them is known",
        _STATUS,
    ),
    Column(
        "duration_s",
        "Float64",
        "seconds from the start to the end, or to now; missing if the task never started",
        _STATUS,
    ),
    Column("result", "string", "the answer, or what is known about the failure", _ANSWER),
    *_IDS,
    *_columns(
        _STATUS,
        ("started_at", TIME, "when the first attempt started"),
        ("ended_at", TIME, "when the task ended"),
        (
            "wait_s",
            "Float64",
            "seconds from the session's start to the task's start; missing if it never started",
        ),
        ("api_duration_s", "Float64", "seconds that the last attempt waited for the API"),
        ("n_questions", "Int64", "questions that wait for an answer; missing once it has ended"),
        ("attempts", "Int64", "number of attempts"),
        ("num_turns", "Int64", "turns of the last attempt, as counted by the CLI"),
        default=False,
    ),
    Column("n_tool_calls", "Int64", "tool calls of the last attempt", _STREAM, default=False),
    *_tokens("all attempts", _STATUS),
    *_columns(
        _STATUS,
        ("n_unknown_costs", "Int64", "attempts whose cost is unknown; missing if none"),
        ("model", "string", "the model of the last attempt"),
        ("light", "boolean", "whether it ran in the light form: without tools and files"),
        (
            "response_model",
            "string",
            "the model that wrote the answer: another one where `fallback_model` stepped in",
        ),
        (
            "api_retries",
            "Int64",
            "repeated API requests of the last attempt; missing if none",
        ),
        ("api_error_status", "Int64", "the HTTP status of the error that ended the attempt"),
        ("exit_code", "Int64", "the CLI's exit code; missing if a shared process served it"),
        ("signal", "Int64", "the signal that ended the CLI"),
        ("is_error", "boolean", "as in the CLI's result line"),
        ("subtype", "string", "as in the CLI's result line"),
        ("stop_reason", "string", "as in the CLI's result line"),
        default=False,
    ),
    Column(
        "structured",
        "object",
        "the answer as an object, if the task has a schema",
        _STREAM,
        default=False,
    ),
    *_columns(
        _STATUS,
        ("error", "string", "what went wrong, in one line"),
        ("note", "string", "what you should know beside the outcome, in one line"),
        ("conversation_id", "string", "Claude's own id for the conversation"),
        ("node", "string", "the node of the last attempt; missing if it ran beside the runner"),
        (
            "process",
            "Int64",
            "the shared process that served the last attempt; missing if it had one of its own",
        ),
        ("branch", "string", "the task's branch, if it has a worktree"),
        ("worktree", "string", "the task's worktree"),
        ("harvest_error", "string", "why its work is not saved yet; missing if it is"),
        (
            "kept_because",
            "string",
            "why its worktree stays: what it holds, or `keep_worktrees`; missing if it is gone",
        ),
        (
            "n_files_changed",
            "Int64",
            "files that the branch changes; missing if no agent worked there",
        ),
        ("lines_added", "Int64", "lines that the branch adds"),
        ("lines_deleted", "Int64", "lines that the branch deletes"),
        ("n_commits", "Int64", "commits on the branch"),
        ("peak_rss_bytes", "Int64", "peak memory of the task's process, in bytes"),
        default=False,
    ),
    Column("output_bytes", "Int64", "bytes that the last attempt wrote", _STREAM, default=False),
)

_ATTEMPT = Column("attempt", "Int64", "the attempt's number, from 1", "name of the stream")

EVENTS = (
    *_IDS,
    _ATTEMPT,
    *_columns(
        _STREAM,
        ("seq", "Int64", "the row's number in the attempt, from 1"),
        ("at", TIME, "when the CLI wrote it; missing if unknown"),
        ("type", "string", "the type of the event: system, assistant, user, result, …"),
        ("subtype", "string", "the type of the content block, or else the event's subtype"),
        ("role", "string", "the role of the message's author"),
        ("text", "string", "its text; the input of a tool as JSON, its output as text"),
        ("model", "string", "the model that wrote it"),
        ("tool", "string", "the tool that is called, or that returned the output"),
        ("result_index", "Int64", "the turn of the run, from 0: that of its result line"),
        ("parent_tool_use_id", "string", "the call that started the subagent whose event it is"),
        default=True,
    ),
)

TOOL_CALLS = (
    *_IDS,
    _ATTEMPT,
    *_columns(
        _STREAM,
        ("tool", "string", "the tool"),
        ("target", "string", "what the call is about: a file, a command, a pattern"),
        ("started_at", TIME, "when the model requested the call"),
        ("ended_at", TIME, "when the result arrived; missing without a result"),
        ("duration_s", "Float64", "seconds between the two, including a wait for permission"),
        ("is_error", "boolean", "whether the result is an error; missing without a result"),
        ("permission", "string", "allowed or denied; missing if unknown"),
        ("input", "string", "the input, as JSON"),
        ("output", "string", "the result, as text"),
        ("parent_tool_use_id", "string", "the call that started the subagent that called"),
        default=True,
    ),
)

DENIALS = (
    *_IDS,
    *_columns(
        _STREAM,
        ("tool", "string", "the tool that was denied"),
        ("rule", "string", "the rule that would allow it: `allow=[rule]`; missing if none would"),
        (
            "reason",
            "string",
            "why, in the CLI's words, and what else the rule allows",
        ),
        ("n", "Int64", "number of such calls that were denied, in all attempts"),
        ("target", "string", "what the first of these calls is about"),
        ("input", "string", "the input of the first of these calls, as JSON"),
        default=True,
    ),
)

USAGE = (
    *_IDS,
    Column("model", "string", "the model; missing for usage that belongs to no model", _STREAM),
    *_tokens("all attempts with this model", f"{_STREAM}, {_STATUS}", default=True),
    Column("cost_usd", "Float64", "US dollars, the CLI's own estimate", f"{_STREAM}, {_STATUS}"),
)


NODES = (
    *_columns(
        _STATUS,
        ("name", "string", "the node"),
        ("host", "string", "its machine"),
        (
            "state",
            "node state",
            "whether it runs tasks; once the session has ended, `left` or `lost`",
        ),
        ("n_running", "Int64", "tasks that it runs"),
        ("slots", "Int64", "tasks that it may run at the same time"),
        ("why", "string", "why it is in this state; missing if nothing is wrong"),
        ("claude_version", "string", "the version of its CLI"),
        ("login", "boolean", "whether its CLI is logged in; missing if it does not tell"),
        ("free_memory_bytes", "Int64", "its free memory, in bytes"),
        ("joined_at", TIME, "when it joined the session"),
        ("silent_at", TIME, "when it was last heard of; missing unless it is silent"),
        ("moves_at", TIME, "when its tasks move to other nodes, unless it answers"),
        ("git_version", "string", "the version of its git"),
        ("clock_offset_s", "Float64", "seconds by which its clock is ahead of the runner's"),
        ("claude_path", "string", "its CLI"),
        default=True,
    ),
    _IDS[0],
)


LINEAGE = (
    *_columns(
        _SPEC,
        ("row_num", "Int64", "the row of `results_df`, from 0"),
        ("row", "object", "its label"),
        ("column", "string", "the column of `results_df` that the answer is in"),
        ("steps_back", "Int64", "0 for an answer of this session, 1 for one of its input, and on"),
        ("prompt", "string", "the prompt that asked for it, in full"),
        default=True,
    ),
    Column("model", "string", "the model that answered", _STATUS),
    Column("claude_version", "string", "the version of the CLI", _RUNNER),
    Column(
        "git_commit", "string", "the commit that the agent's folder was at", f"{_SPEC}, {_RUNNER}"
    ),
    Column("n_tool_calls", "Int64", "tool calls of the task that answered", _STREAM),
    Column("tools", "string", "the tools that it called, each once", _STREAM),
    Column("ended_at", TIME, "when the task ended", _STATUS),
    *_IDS,
)


class Table(NamedTuple):
    """A table: the meaning of a row, and the columns."""

    doc: str
    columns: tuple[Column, ...]


#: Name of the function → the table that it makes.
TABLES = {
    "sessions_df": Table("One row per session, the newest first.", SESSIONS),
    "tasks_df": Table("One row per task.", TASKS),
    "events_df": Table("One row per content block of a stream, or per event without any.", EVENTS),
    "tool_calls_df": Table("One row per tool call, with its result.", TOOL_CALLS),
    "denials_df": Table(
        "One row per task and rule that would allow what was denied; where no rule would, one per "
        "reason. A call that needs two rules counts in two rows.",
        DENIALS,
    ),
    "usage_df": Table(
        "One row per task and model. The rows of an ended task add up to its totals in `tasks_df`.",
        USAGE,
    ),
}
#: The same for tables that only a session has.
TABLES_OF_A_SESSION = {
    "nodes_df": Table("One row per node that has joined, in the order of their names.", NODES),
    "lineage_df": Table(
        "One row per answer in `results_df`, also for those of the sessions before it.", LINEAGE
    ),
}
