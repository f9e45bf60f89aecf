"""The CLI's own transcripts of a conversation: the tokens of an attempt that was killed.

``$CLAUDE_CONFIG_DIR/projects/<folder>/<conversation>.jsonl``, and those of its subagents in
``<conversation>/subagents/agent-*.jsonl``. They have the final token counts of the answers even
after SIGKILL, while the stream has only those of the answer's beginning (measured with 2.1.332).
An answer reaches the stream some milliseconds earlier, so they may lack the last one. They have no
costs.
"""

from __future__ import annotations

import os

from cpr_nb.model.events import parse_line, usage_tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def tokens_since(path: bytes, since: str) -> dict[str, dict[str, int]]:
    """Reads the tokens of each answer in a conversation and its subagents since a moment.

    Args:
        path: The conversation's transcript.
        since: The moment, ISO 8601 in UTC.

    Returns:
        The id of each answer → the counts by our own names; empty if nothing is known.
    """
    by_message: dict[str, dict[str, int]] = {}
    for one in (path, *_subagent_transcripts(path)):
        _read_usage(one, since, by_message)
    return by_message


def find_transcript(config_home: bytes, conversation_id: str) -> bytes | None:
    """Finds the transcript of a conversation.

    Args:
        config_home: The folder of the CLI's own configuration.
        conversation_id: The conversation, whoever says so.

    Returns:
        Its path; None if there is none.
    """
    if not _is_plain(conversation_id):
        return None
    projects = config_home + b"/projects/"
    name = b"/" + conversation_id.encode("utf-8", "replace") + b".jsonl"
    try:
        paths = [projects + folder + name for folder in os.listdir(projects)]
    except OSError:
        return None
    return next((path for path in paths if os.path.isfile(path)), None)


def _is_plain(conversation_id: str) -> bool:
    """Whether an id, which a journal may say, can be neither another argument nor a path."""
    return conversation_id[:1].isalnum() and conversation_id.replace("-", "").isalnum()


def _subagent_transcripts(path: bytes) -> list[bytes]:
    folder = path.removesuffix(b".jsonl") + b"/subagents/"
    try:
        names = os.listdir(folder)
    except OSError:
        return []  # it had no subagents
    return [folder + name for name in names if name.endswith(b".jsonl")]


def _read_usage(path: bytes, since: str, by_message: dict[str, dict[str, int]]) -> None:
    """Reads the token counts of each answer in a transcript."""
    try:
        with open(path, "rb") as file:
            for line in file:
                event = parse_line(line) if b'"usage"' in line else None
                message = event.get("message") if event else None
                if isinstance(message, dict) and _is_since(event, since):
                    # One answer has several lines; the last one has the final counts.
                    by_message[str(message.get("id"))] = usage_tokens(message.get("usage"))
    except OSError:
        pass


def _is_since(event: dict[str, Any] | None, since: str) -> bool:
    timestamp = event.get("timestamp") if event else None
    return isinstance(timestamp, str) and timestamp >= since
