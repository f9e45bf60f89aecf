"""The light form of a task: a question and its answer, without tools, files or hooks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: The system prompt of a light task that has none of its own. Every task pays for each word of it.
LIGHT_PROMPT = "Answer from the message alone. Ask nothing back."
# A launch refuses these with `light`. A session.json that has them all the same brings nothing.
_LEFT_OUT = ("allow", "agents", "add_dirs", "mcp_servers")
#: Without it, the CLI reads the file of each ``@path`` in a prompt, wherever it is, and sends it
#: along, although the task has no tools (measured). It also adds hints about tools.
_NO_ATTACHMENTS = {b"CLAUDE_CODE_DISABLE_ATTACHMENTS": b"1"}
# The user's output style and language would come in spite of the safe mode (measured).
_SETTINGS = {"outputStyle": "default", "language": ""}


def in_effect(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a task as they take effect: what ``light`` means is spelled out.

    Args:
        options: The session's options with the task's own on top, checked.

    Example:
        >>> in_effect({"light": True, "system_prompt": "Label it."})["tools"]
        []
        >>> in_effect({"tools": ["Read"]})
        {'tools': ['Read']}
    """
    if not options.get("light"):
        return options
    kept = {name: value for name, value in options.items() if name not in _LEFT_OUT}
    return {
        "system_prompt": LIGHT_PROMPT,
        **kept,
        "permissions": "read",
        "tools": [],
        "safe_mode": True,
        "settings": {**_SETTINGS, **options.get("settings", {})},
    }


def light_variables(options: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The variables that a task gets for ``light``, unless the user sets them.

    Example:
        >>> light_variables({})
        {}
    """
    return _NO_ATTACHMENTS if options.get("light") else {}
