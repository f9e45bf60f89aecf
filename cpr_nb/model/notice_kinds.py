"""The notices that a session sends, by the options that ask for them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ON_DONE, ON_FAILED, ON_WAITING = "on_done", "on_failed", "on_waiting"
#: All of them.
NOTICE_NAMES = (ON_DONE, ON_FAILED, ON_WAITING)
#: The value for none, even if the user's own settings ask for one.
OFF = "off"
#: What a notice about an open question of an agent is called, beside the words of limits.
QUESTION = "question"


def asked_for(options: dict[str, Any]) -> list[str]:
    """The notices that the options of a session ask for.

    Example:
        >>> asked_for({"on_done": "desktop", "on_waiting": "off", "model": "opus"})
        ['on_done']
    """
    return [name for name in NOTICE_NAMES if options.get(name, OFF) != OFF]
