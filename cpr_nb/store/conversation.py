"""The CLI's own transcript of a conversation: whether the conversation can be continued.

It can lack its beginning: the daily clean-up of one run removes the project folders that are
empty, also one that another run has just made; what that run then writes before its first answer
is lost (2.1.305 and 2.1.332). ``--resume`` works all the same, and says nothing: the model knows
neither its task nor what it has done.

The transcript of a task that a shared process served begins with the ``/clear`` before its prompt.
"""

from __future__ import annotations

import os

from cpr_nb.model.events import content_blocks, parse_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LONGEST_NAME = 200
# What the CLI writes down of a command like /clear begins like this: it is no prompt.
_OF_A_COMMAND = ("<local-command-", "<command-name>/clear<")


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
                event = parse_line(line) or {}
                kind = event.get("type")
                if kind in ("user", "assistant") and not _is_of_a_command(event):
                    return kind == "user" and b'"tool_result"' not in line
    except OSError:
        pass
    return False


def config_home(environ: Mapping[str, str]) -> str:
    """The folder of the CLI's own configuration.

    Example:
        >>> config_home({"HOME": "/home/ada"})
        '/home/ada/.claude'
    """
    return environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '')}/.claude"


def transcript_folder(config_folder: str, cwd: str) -> str:
    """Where the CLI keeps the transcripts of the runs in a folder.

    Measured: each UTF-16 unit that is no ASCII letter or digit becomes a dash. A name of more than
    200 is cut, and a hash of the path follows, since 2.1.126 at the latest; older ones have other
    hashes, or none.

    Args:
        config_folder: The folder of the CLI's own configuration.
        cwd: The folder that runs work in.

    Example:
        >>> transcript_folder("/home/ada/.claude", "/srv/my_shop")
        '/home/ada/.claude/projects/-srv-my-shop'
    """
    units = os.path.realpath(cwd).encode("utf-16-le", "surrogatepass")
    codes = [units[i] + 256 * units[i + 1] for i in range(0, len(units), 2)]
    name = "".join(chr(c) if c < 128 and chr(c).isalnum() else "-" for c in codes)
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{_in_base_36(_hash(codes))}"
    return f"{config_folder}/projects/{name}"


def _hash(codes: list[int]) -> int:
    """The hash that JavaScript programs often make of a text: 32 bits, without its sign."""
    value = 0
    for code in codes:
        value = (value * 31 + code) & 0xFFFFFFFF
    return value if value < 1 << 31 else (1 << 32) - value


def _in_base_36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"


def _is_of_a_command(event: dict[str, Any]) -> bool:
    """Whether a message is what the CLI keeps of a command."""
    texts = [block.get("text") for block in content_blocks(event)]
    return bool(texts) and all(str(text).startswith(_OF_A_COMMAND) for text in texts)
