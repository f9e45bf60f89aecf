"""One node as the runner sees it: what its node agent says, and what runs there."""

from __future__ import annotations

import time

from cpr_nb.model import states
from cpr_nb.runner.governor import FIRST_PROBE_S, LAST_PROBE_S
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_LOGIN = "not logged in: log in there with claude"
#: What status.json says of a node as its node agent says it.
_FACTS = (
    *("host", "slots", "claude_path", "claude_version", "login", "git_version"),
    *("free_memory_bytes", "clock_offset_s", "sees"),
)


class Node:
    """One life of a node agent.

    Args:
        message: The hub's first message about it.

    Attributes:
        life: Its life: a node agent that starts again is another one.
        name: Its name.
        state: Its state, as `states.NODE_STATES` names it.
        tokens: The tokens of what runs there.
    """

    __slots__ = (
        "_joined_at",
        "_message",
        "_n_refusals",
        "_refused_until",
        "_silent_at_s",
        "life",
        "state",
        "tokens",
    )

    def __init__(self, message: dict[str, Any]) -> None:
        self.life: str = message["life"]
        self.state = ""
        self.tokens: set[str] = set()
        self._joined_at = utc_iso(time.time())
        self._n_refusals, self._refused_until = 0, 0.0  # seconds of the monotonic clock
        self._silent_at_s: float | None = None  # seconds since the epoch
        self._message: dict[str, Any] = {}
        self.update(message)

    def update(self, message: dict[str, Any]) -> bool:
        """Takes what the hub says now; returns whether its state is another one."""
        before = self.state
        known = {name: value for name, value in message.items() if value is not None}
        self._message = {**self._message, "why": "", **known}
        self.state = message["state"]
        if self.state == states.SILENT:
            if before != states.SILENT:
                self._silent_at_s = time.time() - (message.get("silent_s") or 0.0)
        else:
            self._silent_at_s = None
        return self.state != before

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._message.get("name") or self.life)

    @property
    def slots(self) -> int:
        """How many tasks it takes at once."""
        return int(self._message.get("slots") or 0)

    @property
    def claude_path(self) -> str:
        """Its CLI; empty if it has none."""
        return str(self._message.get("claude_path") or "")

    @property
    def is_logged_out(self) -> bool:
        """Whether its CLI is known not to be logged in, or was refused a short while ago."""
        was_refused = time.monotonic() < self._refused_until
        return was_refused or self._message.get("login") is False

    def refuse_login(self) -> None:
        """The API has refused its login: it is tried again later, less and less often."""
        if time.monotonic() >= self._refused_until:
            delay_s = min(LAST_PROBE_S, FIRST_PROBE_S * 2.0**self._n_refusals)
            self._refused_until = time.monotonic() + delay_s
            self._n_refusals += 1

    def sees(self, name: str) -> bool | None:
        """Whether something of the runner's machine is there, too; None if that is not known."""
        return (self._message.get("sees") or {}).get(name)

    @property
    def is_gone(self) -> bool:
        """Whether nothing runs there any more, and nothing will."""
        return self.state in (states.LOST, states.LEFT, states.REFUSED)

    def left(self) -> None:
        """The session is over."""
        if not self.is_gone:
            self.state, self._silent_at_s = states.LEFT, None

    @property
    def why(self) -> str:
        """Why it is in its state; empty if there is nothing to say."""
        return str(self._message["why"])

    @property
    def _takes_no_task(self) -> bool:
        return self.state == states.LIVE and self.is_logged_out

    def fields(self, lost_after_s: float | None) -> dict[str, Any]:
        """What status.json says of it; what is not known is left out.

        Args:
            lost_after_s: How long it may be silent until its tasks move to others, if known.
        """
        fields = {
            "name": self.name,
            "state": states.NO_LOGIN if self._takes_no_task else self.state,
            "n_running": len(self.tokens),
            **{name: self._message.get(name) for name in _FACTS},
            "why": _NO_LOGIN if self._takes_no_task else self.why or None,
            "joined_at": self._joined_at,
        }
        if self._silent_at_s is not None:
            fields["silent_at"] = utc_iso(self._silent_at_s)
            if lost_after_s is not None:
                fields["moves_at"] = utc_iso(self._silent_at_s + lost_after_s)
        return {name: value for name, value in fields.items() if value is not None}
