"""The CLI's own transcript of a conversation: whether the conversation can be continued.

It can lack its beginning: the daily clean-up of one run removes the project folders that are
empty, also one that another run has just made; what that run then writes before its first answer
is lost (2.1.305 and 2.1.332). ``--resume`` works all the same, and says nothing: the model knows
neither its task nor what it has done.
"""

from __future__ import annotations

import os

from cpr_nb.model.events import parse_line


def begins_with_prompt(transcript: str | bytes | os.PathLike[str]) -> bool:
    """Whether the first message of a transcript is its prompt.

    Args:
        transcript: Its path.

    Returns:
        False also if it has no message yet: the CLI refuses to continue such a conversation.

    Example:
        >>> begins_with_prompt("/no/such/file.jsonl")
        False
    """
    try:
        with open(transcript, "rb") as file:
            for line in file:
                kind = (parse_line(line) or {}).get("type")
                if kind in ("user", "assistant"):
                    return kind == "user" and b'"tool_result"' not in line
    except OSError:
        pass
    return False
