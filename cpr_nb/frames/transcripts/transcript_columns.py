"""Declares every column of the tables of transcripts; docs/tables.md is generated from it."""

from __future__ import annotations

from cpr_nb.frames.columns import TIME, Column
from cpr_nb.frames.tables import Table

_CONVERSATION = Column("conversation_id", "string", "Claude's own id for the conversation")
_AGENT = Column("agent_id", "string", "the subagent; missing for the conversation itself")
_CURRENT = Column(
    "is_current_branch",
    "boolean",
    "whether it is part of the conversation as it stands; False after a rewind; missing if unknown",
)
_CWD = Column("cwd", "string", "the folder in which the conversation began")


def _tokens(whose: str) -> tuple[Column, ...]:
    return (
        Column(
            "input_tokens", "Int64", f"input tokens of {whose}, without those of the prompt cache"
        ),
        Column("output_tokens", "Int64", f"output tokens of {whose}"),
        Column("cache_read_tokens", "Int64", f"tokens that {whose} read from the prompt cache"),
        Column("cache_write_tokens", "Int64", f"tokens that {whose} wrote to the prompt cache"),
        Column("cost_usd", "Float64", "US dollars, an estimate at list price; missing if unknown"),
    )


_UNKNOWN = Column(
    "n_unknown_costs", "Int64", "answers whose cost is unknown; missing if none", default=False
)

TRANSCRIPTS = (
    Column("prompt", "string", "the beginning of its first prompt"),
    Column("n_prompts", "Int64", "prompts of the user"),
    Column("n_messages", "Int64", "answers of the model, with those of subagents, each once"),
    Column("n_tool_calls", "Int64", "tool calls, with those of subagents"),
    Column("n_agents", "Int64", "subagents"),
    *_tokens("its answers"),
    Column("started_at", TIME, "when it began; a fork, when it was forked"),
    Column("ended_at", TIME, "the time of its last line"),
    _CWD,
    _CONVERSATION,
    Column("n_compactions", "Int64", "requests that summarised it", default=False),
    Column("n_abandoned", "Int64", "answers that a rewind took back", default=False),
    Column("n_copied", "Int64", "answers that count in another conversation", default=False),
    _UNKNOWN._replace(default=False),
    Column("model", "string", "the model with the most output tokens", default=False),
    Column("git_branch", "string", "the branch on which it began", default=False),
    Column("claude_version", "string", "the version of the CLI that wrote last", default=False),
    Column("n_unreadable", "Int64", "lines that are no JSON; missing if none", default=False),
    Column("path", "string", "its file", default=False),
)
MESSAGES = (
    _CONVERSATION,
    _AGENT,
    Column("message_id", "string", "the API's id of the answer"),
    Column("at", TIME, "when its first line was written"),
    Column("model", "string", "the model that wrote it"),
    *_tokens("the answer"),
    _CURRENT,
    _CWD,
)
TOOL_CALLS = (
    _CONVERSATION,
    _AGENT,
    Column("tool", "string", "the tool"),
    Column("target", "string", "what the call is about: a file, a command, a pattern"),
    Column("started_at", TIME, "when the model requested the call"),
    Column("ended_at", TIME, "when the result arrived; missing without a result"),
    Column("duration_s", "Float64", "seconds between the two, including a wait for permission"),
    Column("is_error", "boolean", "whether the result is an error; missing without a result"),
    Column("permission", "string", "allowed or denied; missing if unknown"),
    Column("error", "string", "the beginning of an error's text"),
    Column("parent_tool_use_id", "string", "the call that started the subagent that called"),
    _CURRENT,
    _CWD,
    Column("tool_use_id", "string", "the API's id of the call", default=False),
)
USAGE = (
    _CONVERSATION,
    _AGENT,
    Column("model", "string", "the model"),
    *_tokens("the answers with this model"),
    _UNKNOWN._replace(default=True),
)
EVENTS = (
    _CONVERSATION,
    _AGENT,
    Column("seq", "Int64", "the row's number in its file, from 1"),
    Column("at", TIME, "when the CLI wrote it; missing if unknown"),
    Column("type", "string", "the type of the line: user, assistant, system"),
    Column("subtype", "string", "the type of the content block, or else the line's subtype"),
    Column("role", "string", "the role of the message's author"),
    Column("text", "string", "its text; the input of a tool as JSON, its output as text"),
    Column("model", "string", "the model that wrote it"),
    Column("tool", "string", "the tool that is called, or that returned the output"),
    Column("parent_tool_use_id", "string", "the call that started the subagent whose line it is"),
    _CURRENT,
)
#: Method of `cpr_nb.Transcripts` → the table that it makes.
TRANSCRIPT_TABLES = {
    "Transcripts.df": Table("One row per conversation, the newest first.", TRANSCRIPTS),
    "Transcripts.messages_df": Table("One row per answer of a model, each once.", MESSAGES),
    "Transcripts.usage_df": Table("One row per conversation, subagent and model.", USAGE),
    "Transcripts.tool_calls_df": Table(
        "One row per tool call, each once, with what became of it.", TOOL_CALLS
    ),
    "Transcripts.events_df": Table(
        "One row per content block of a line, or per line without any.", EVENTS
    ),
}
