"""Every table of sessions, and what each of its columns means: docs/tables.md is made of this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cpr_nb.frames.columns import TIME, Column

# Where a figure comes from.
_STATUS, _SPEC, _RUNNER = "status.json", "session.json", "runner.json"
_STREAM, _FOLDER, _ANSWER = "stream", "folder", "task-<id>.txt"


def _columns(source: str, *columns: tuple[str, str, str], default: bool) -> Iterator[Column]:
    for name, dtype, doc in columns:
        yield Column(name, dtype, doc, source, default)


def _tokens(whose: str, source: str, *, default: bool = False) -> tuple[Column, ...]:
    return tuple(
        _columns(
            source,
            ("input_tokens", "Int64", f"input tokens of {whose}, those of the cache left out"),
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
    Column("session_id", "string", "its id", _FOLDER),
    Column("name", "string", "the name that the user gave it", _STATUS),
    Column("state", "session state", "what it does now", "status.json, runner.lock"),
    Column("created_at", TIME, "when it was launched", _STATUS),
    Column("duration_s", "Float64", "seconds from its start to its end, or to now", _STATUS),
    Column("n_tasks", "Int64", "its tasks", _STATUS),
    Column("n_pending", "Int64", "tasks that have not started", _STATUS),
    Column("n_running", "Int64", "tasks that run, or rest before another attempt", _STATUS),
    Column("n_succeeded", "Int64", "tasks that succeeded", _STATUS),
    Column("n_failed", "Int64", "tasks that failed, timed out or were lost", _STATUS),
    Column("n_denials", "Int64", "tool calls that the permissions refused", _STATUS),
    Column("cost_usd", "Float64", "US dollars so far: the CLI's own estimate", _STATUS),
    *_columns(
        _STATUS,
        ("n_cancelled", "Int64", "tasks that somebody cancelled"),
        ("n_skipped", "Int64", "tasks that never started and never will"),
        ("started_at", TIME, "when its runner began"),
        ("ended_at", TIME, "when its last task had ended"),
        default=False,
    ),
    *_tokens("its ended tasks", _STATUS),
    *_columns(
        _STATUS,
        ("n_unknown_costs", "Int64", "attempts that never told their cost; missing if none"),
        ("max_parallel", "Int64", "how many tasks may run at once; 0 for no limit"),
        ("model", "string", "the model that was asked for"),
        ("permissions", "string", "what its agents may do without asking"),
        ("executor", "string", "what runs the tasks"),
        default=False,
    ),
    *_columns(
        _RUNNER,
        ("host", "string", "the machine"),
        ("claude_version", "string", "the version of the CLI"),
        default=False,
    ),
    *_columns(
        _STATUS,
        ("cwd", "string", "the folder from which it was launched"),
        default=False,
    ),
    *_columns(
        _RUNNER,
        ("git_commit", "string", "the commit of that folder at the launch"),
        ("git_tree", "string", "its tree"),
        default=False,
    ),
    *_columns(
        _STATUS,
        ("waiting_for", "string", "what a live session waits for: limit, login, disk"),
        ("waiting_until", TIME, "until when, if that is known"),
        ("notice", "string", "one line that a person should not miss"),
        ("parent_session_id", "string", "the session of which this is a retry"),
        default=False,
    ),
    Column("path", "string", "its folder", _FOLDER, default=False),
)

TASKS = (
    *_IDS,
    Column("task_num", "Int64", "its number in the session, from 1", _STATUS),
    Column(
        "prompt", "string", "its prompt; of a legacy session only the first 50 characters", _SPEC
    ),
    Column("state", "task state", "what it does now", _STATUS),
    Column("outcome", "outcome", "how it ended; missing before", _STATUS),
    Column("ok", "boolean", "whether it succeeded; missing before its end", _STATUS),
    Column("reason", "string", "why it ended so, in one word", _STATUS),
    Column("n_denials", "Int64", "tool calls that the permissions refused", _STATUS),
    Column("duration_s", "Float64", "seconds from its start to its end, or to now", _STATUS),
    Column("cost_usd", "Float64", "US dollars, all attempts: the CLI's own estimate", _STATUS),
    Column("result", "string", "its answer, or what is known of its failure", _ANSWER),
    *_columns(
        _STATUS,
        ("started_at", TIME, "when its first attempt started"),
        ("ended_at", TIME, "when it ended"),
        ("wait_s", "Float64", "seconds from the session's start to its own"),
        ("api_duration_s", "Float64", "seconds its last attempt waited for the API"),
        ("attempts", "Int64", "how many attempts there were"),
        ("num_turns", "Int64", "turns of its last attempt, as the CLI counts them"),
        default=False,
    ),
    Column("n_tool_calls", "Int64", "tool calls of its last attempt", _STREAM, default=False),
    *_tokens("all its attempts", _STATUS),
    *_columns(
        _STATUS,
        ("n_unknown_costs", "Int64", "attempts that never told their cost; missing if none"),
        ("model", "string", "the model of its last attempt"),
        (
            "api_retries",
            "Int64",
            "repeated requests of its last attempt; missing if none",
        ),
        ("api_error_status", "Int64", "the HTTP status of the error that ended it"),
        ("exit_code", "Int64", "the CLI's exit code"),
        ("signal", "Int64", "the signal that ended the CLI"),
        ("is_error", "boolean", "what the CLI's result line says"),
        ("subtype", "string", "what the CLI's result line says"),
        ("stop_reason", "string", "what the CLI's result line says"),
        default=False,
    ),
    Column("structured", "object", "the object, if a schema was asked for", _STREAM, default=False),
    *_columns(
        _STATUS,
        ("error", "string", "what went wrong, on one line"),
        ("conversation_id", "string", "Claude's own id of the conversation"),
        ("branch", "string", "its branch, if it had a worktree"),
        ("worktree", "string", "its worktree"),
        ("n_files_changed", "Int64", "files that its branch changes"),
        ("lines_added", "Int64", "lines that its branch adds"),
        ("lines_deleted", "Int64", "lines that its branch deletes"),
        ("n_commits", "Int64", "commits of its branch"),
        ("peak_rss_bytes", "Int64", "the most memory that its process had, in bytes"),
        default=False,
    ),
    Column("output_bytes", "Int64", "bytes that its last attempt wrote", _STREAM, default=False),
)

_ATTEMPT = Column("attempt", "Int64", "the attempt, from 1", "name of the stream")

EVENTS = (
    *_IDS,
    _ATTEMPT,
    *_columns(
        _STREAM,
        ("seq", "Int64", "its number in the attempt, from 1"),
        ("at", TIME, "when the CLI wrote it, if it says so"),
        ("type", "string", "the type of the event: system, assistant, user, result, …"),
        ("subtype", "string", "the type of the content block, else the event's subtype"),
        ("role", "string", "whose message it is"),
        ("text", "string", "what it says; a tool's input as JSON, a tool's output as text"),
        ("model", "string", "the model that wrote it"),
        ("tool", "string", "the tool that is called, or that answers"),
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
        ("started_at", TIME, "when the model had asked for it"),
        ("ended_at", TIME, "when its result was there; missing if none ever was"),
        ("duration_s", "Float64", "seconds between the two, a wait for permission included"),
        ("is_error", "boolean", "whether the result is an error; missing without a result"),
        ("permission", "string", "allowed, denied; missing if the CLI does not say"),
        ("input", "string", "its input, as JSON"),
        ("output", "string", "its result, as text"),
        default=True,
    ),
)

DENIALS = (
    *_IDS,
    *_columns(
        _STREAM,
        ("tool", "string", "the tool that was denied"),
        ("rule", "string", "the rule that would allow it: `allow=[rule]`"),
        ("n", "Int64", "how many such calls were denied, in all attempts"),
        ("target", "string", "what the first of them is about"),
        ("input", "string", "the input of the first of them, as JSON"),
        default=True,
    ),
)

USAGE = (
    *_IDS,
    Column("model", "string", "the model; missing for what is told of no model", _STREAM),
    *_tokens("all attempts with this model", f"{_STREAM}, {_STATUS}", default=True),
    Column("cost_usd", "Float64", "US dollars: the CLI's own estimate", f"{_STREAM}, {_STATUS}"),
)


class Table(NamedTuple):
    """A table: what a row is, and its columns."""

    doc: str
    columns: tuple[Column, ...]


#: The function that makes it → the table.
TABLES = {
    "sessions_df": Table("A row a session, the newest first.", SESSIONS),
    "tasks_df": Table("A row a task.", TASKS),
    "events_df": Table("A row a content block of a stream, or an event without any.", EVENTS),
    "tool_calls_df": Table("A row a tool call, with its result.", TOOL_CALLS),
    "denials_df": Table("A row a task and a rule that would allow what was denied.", DENIALS),
    "usage_df": Table(
        "A row a task and a model. The rows of an ended task add up to its figures in `tasks_df`.",
        USAGE,
    ),
}
