"""The states of one shared process: marks of its stream and time in, steps to take out. Pure.

A shared process gets ``/clear`` as its first message, and again between two tasks. A task begins
behind the result line of the ``/clear`` before it. It ends at the line ``conversation_reset``,
never at its own result line: a background command may still be followed by another turn. The
facts, measured on three versions of the CLI, are in ``docs/sharing.md``.
"""

from __future__ import annotations

from cpr_nb.runner.shared.borders import (
    BACKGROUND,
    HOOK,
    INIT,
    LINE_OF_ANOTHER,
    RESET,
    RESULT,
    UNREADABLE,
    n_live,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.shared.borders import Mark

#: Its first ``/clear`` is on the way; a task may be given to it; it works for one; ``/clear``
#: follows a task; its stdin is closed, and its task goes on to the end; its stdin is closed.
STARTING, PRIMED, BUSY, CLEARING, CLOSING, RETIRED = range(6)

# The steps that somebody else takes.
CLEAR = "clear"  # send /clear
CLOSE = "close"  # close its stdin
INTERRUPT = "interrupt"  # ask it to end its turn
TERMINATE = "terminate"  # SIGTERM
KILL = "kill"  # SIGKILL to all that it started
END_TASK = "end_task"  # its task has ended; the process goes on
READY = "ready"  # a task may be given to it
REFUSE = "refuse"  # it can't be shared

#: How long ``/clear`` may take. Hooks run then.
CLEAR_S = 30.0
#: How long a process stays that has nothing to do.
IDLE_S = 10.0
#: How long a process may take to end before it is forced to.
GRACE_S = 10.0
#: An interrupt that comes too early is acknowledged and lost (measured), so it is repeated.
INTERRUPT_EVERY_S = 1.0
#: A task that does not heed an interrupt for so long is ended with its process.
INTERRUPT_S = 2.0
#: What has to be as it was at first, or the process serves no further task.
_FIXED = (
    *("cwd", "permissionMode", "model", "tools", "agents", "output_style"),
    "claude_code_version",
)

_NO_CLEAR = "the CLI does not begin a new conversation with /clear"
_HOOK_ONCE = "a SessionStart hook runs at a start, and not for each conversation"


class ProcessMachine:
    """Decides what becomes of one shared process.

    Args:
        at_s: When it was started.

    Attributes:
        state: One of the states above.
        task: The task that it works for; None if there is none.
        conversation_id: The conversation of the task that it works for, or may be given.
        offset: Where the stream of that task begins, in the process's own.
        n_tasks: How many tasks were given to it.
        why: Why it serves no further task; empty if it does.
        end: Where the stream of its task ends, once that is known.

    Example:
        >>> machine = ProcessMachine(0.0)
        >>> machine.tick(CLEAR_S)
        ['refuse', 'close', 'terminate']
    """

    __slots__ = (
        *("_background", "_began", "_first_init", "_forced_at", "_hooks", "_init"),
        "_interrupt_at",
        *("_interrupted_at", "_reset", "_since", "_termination_at", "conversation_id", "end"),
        *("n_tasks", "offset", "state", "task", "why"),
    )

    def __init__(self, at_s: float) -> None:
        self.state = STARTING
        self.task: int | None = None
        self.conversation_id = ""
        self.offset = 0
        self.n_tasks = 0
        self.why = ""
        self.end: int | None = None
        self._since = at_s
        self._reset = False  # whether the border of the /clear that was sent has been passed
        self._init: dict[str, Any] = {}  # what the conversation behind it begins with
        self._first_init: dict[str, Any] = {}
        self._hooks = [0, 0]  # of SessionStart: how many ran before the first border, and behind it
        self._background = 0  # how much runs in the background
        self._began = False  # whether the CLI works on the task that it was given
        self._interrupted_at: float | None = None
        self._interrupt_at: float | None = None  # when the next interrupt is due
        self._forced_at: float | None = None  # when it is terminated
        self._termination_at: float | None = None  # when SIGTERM was sent

    # -- what is done with it -----------------------------------------------------------------

    def give(self, task: int, at_s: float) -> None:
        """A task is given to it: its prompt is about to be sent."""
        self.state, self.task, self._since = BUSY, task, at_s
        self.n_tasks += 1
        self.end = None
        self._began = False

    def interrupt(self, at_s: float) -> list[str]:
        """Its task is to end now. It repeats that until the task ends."""
        if self.state == BUSY and self._interrupted_at is None:
            self._interrupted_at = at_s
            self._interrupt_at = at_s if self._began else None
            return self.tick(at_s)
        if self.state in (CLEARING, CLOSING):
            return self._terminate(at_s)
        return []

    def close(self, why: str, at_s: float) -> list[str]:
        """It gets no further task."""
        if self.state in (STARTING, PRIMED):
            return self._retire(why, at_s)
        self.why = self.why or why
        return []

    def close_at_once(self, why: str, at_s: float) -> list[str]:
        """The same, and its end shows that its task has ended: no line of its stream may do so."""
        steps = self.close(why, at_s)
        if self.state == BUSY:
            self.state = CLOSING
        return steps or [CLOSE]

    # -- what happens to it -------------------------------------------------------------------

    def handle(self, mark: Mark, at_s: float, why_not: str) -> list[str]:
        """Handles a line of its stream.

        Args:
            mark: The line.
            at_s: When it was read.
            why_not: Why it may serve no further task after the one that it works for; empty if
                it may.

        Returns:
            The steps to take, in this order.
        """
        if mark.kind == BACKGROUND:
            self._background = n_live(mark)
        if self.state in (CLOSING, RETIRED):
            return []
        if self.state == BUSY:
            return self._while_busy(mark, at_s, why_not)
        if self.state == PRIMED:
            is_surprise = mark.kind in (RESULT, RESET, LINE_OF_ANOTHER, UNREADABLE)
            return self._surprise("it wrote without a task", at_s) if is_surprise else []
        return self._while_clearing(mark, at_s)

    def _while_busy(self, mark: Mark, at_s: float, why_not: str) -> list[str]:
        if mark.kind in (LINE_OF_ANOTHER, UNREADABLE, RESET):
            return self._surprise(f"a line that does not belong to its task: {mark.kind}", at_s)
        if mark.kind == INIT:
            self._began = True
            if self._interrupted_at is not None and self._interrupt_at is None:
                self._interrupt_at = at_s
            return self.tick(at_s)
        if mark.kind != RESULT:
            return []
        self.why = self.why or why_not or ("work in the background" if self._background else "")
        interrupted_at, self._interrupted_at = self._interrupted_at, None
        self._since = at_s
        if self.why:
            self.state = CLOSING
            if interrupted_at is not None:  # it may wait for a command in the background
                self._forced_at = interrupted_at + INTERRUPT_S
            return [CLOSE]
        self.state, self._reset, self._init = CLEARING, False, {}
        return [CLEAR]

    def _while_clearing(self, mark: Mark, at_s: float) -> list[str]:
        """Follows a ``/clear`` up to its result line, at the start or behind a task."""
        if mark.kind in (UNREADABLE, LINE_OF_ANOTHER):
            return self._surprise("a line that does not belong to its task", at_s)
        if mark.kind == HOOK and self.state == STARTING:
            self._hooks[self._reset] += mark.event.get("hook_event") == "SessionStart"
        if mark.kind == RESET and not self._reset:
            self._reset = True
            if self.task is not None:
                self.end = mark.begin
                return [END_TASK]
        elif mark.kind == INIT and self._reset:
            self._init = mark.event
        elif mark.kind == RESULT and self._reset:
            return self._cleared(mark, at_s)
        elif mark.kind == RESULT and self.state == STARTING:
            return [REFUSE, *self._terminate(at_s, _NO_CLEAR)]
        return []

    def _cleared(self, mark: Mark, at_s: float) -> list[str]:
        """A conversation of its own has begun for the next task."""
        session_id = self._init.get("session_id")
        if not isinstance(session_id, str) or session_id == self.conversation_id:
            steps = [REFUSE] if self.state == STARTING else []
            return [*steps, *self._terminate(at_s, _NO_CLEAR)]
        n_before, n_behind = self._hooks
        if self.state == STARTING and n_before and not n_behind:
            return [REFUSE, *self._terminate(at_s, _HOOK_ONCE)]
        self._first_init = self._first_init or self._init
        if self._background:
            return self._surprise("work in the background outlived its task", at_s)
        changed = self._changed()
        if changed:
            return self._retire(f"its task left another {changed} behind", at_s)
        if self.why:
            return self._retire(self.why, at_s)
        self.state, self._since = PRIMED, at_s
        self.conversation_id, self.offset = session_id, mark.end
        return [READY]

    def _changed(self) -> str:
        """What is no longer as it was at first; empty if all is."""
        for name in _FIXED:
            if self._init.get(name) != self._first_init.get(name):
                return name
        before, now = _servers(self._first_init), _servers(self._init)
        same = before.keys() == now.keys() and all(
            before[name] in (status, "pending") for name, status in now.items()
        )
        return "" if same else "state of its MCP servers"

    def task_over(self) -> None:
        """Its task has ended, and that is recorded."""
        self.task = None

    # -- time ---------------------------------------------------------------------------------

    def tick(self, at_s: float) -> list[str]:
        """Does what is due."""
        if self._termination_at is not None:
            return self._force(at_s)
        if self._is_due(self._forced_at, at_s):
            return self._terminate(at_s)
        if self.state == STARTING and at_s >= self._since + CLEAR_S:
            return [REFUSE, *self._terminate(at_s, _NO_CLEAR)]
        if self.state == CLEARING and at_s >= self._since + CLEAR_S:
            return self._surprise("/clear took too long", at_s)
        if self.state == PRIMED and at_s >= self._since + IDLE_S:
            return self._retire("nothing to do", at_s)
        if self.state == BUSY and self._interrupted_at is not None:
            return self._repeat_interrupt(self._interrupted_at, at_s)
        return []

    def _repeat_interrupt(self, interrupted_at: float, at_s: float) -> list[str]:
        if at_s >= interrupted_at + INTERRUPT_S:
            return self._terminate(at_s, "its task was ended")
        if self._interrupt_at is None or at_s < self._interrupt_at:
            return []
        self._interrupt_at = at_s + INTERRUPT_EVERY_S
        return [INTERRUPT]

    def _force(self, at_s: float) -> list[str]:
        if self._termination_at is not None and at_s >= self._termination_at + GRACE_S:
            self._termination_at = at_s
            return [KILL]
        return []

    @property
    def next_at(self) -> float | None:
        """When it wants a `tick`; None if never."""
        if self._termination_at is not None:
            return self._termination_at + GRACE_S
        if self._forced_at is not None:
            return self._forced_at
        if self.state in (STARTING, CLEARING):
            return self._since + CLEAR_S
        if self.state == PRIMED:
            return self._since + IDLE_S
        if self.state == BUSY and self._interrupted_at is not None:
            last = self._interrupted_at + INTERRUPT_S
            return last if self._interrupt_at is None else min(last, self._interrupt_at)
        return None

    # -- ends ---------------------------------------------------------------------------------

    def _surprise(self, why: str, at_s: float) -> list[str]:
        """Something that nobody foresaw: nothing of this process can be relied on any more."""
        return self._terminate(at_s, why)

    def _terminate(self, at_s: float, why: str = "") -> list[str]:
        self.why = self.why or why or "its task was ended"
        self.state = RETIRED if self.task is None else CLOSING
        if self._termination_at is not None:
            return []
        self._termination_at = at_s
        return [CLOSE, TERMINATE]

    def _retire(self, why: str, at_s: float) -> list[str]:
        self.why = self.why or why
        self.state = RETIRED
        self._forced_at = at_s + GRACE_S
        return [CLOSE]

    @staticmethod
    def _is_due(due_at: float | None, at_s: float) -> bool:
        return due_at is not None and at_s >= due_at


def _servers(init: dict[str, Any]) -> dict[str, Any]:
    """The MCP servers that an ``init`` line names, each with its status."""
    servers = init.get("mcp_servers")
    listed = servers if isinstance(servers, list) else []
    return {str(s.get("name")): s.get("status") for s in listed if isinstance(s, dict)}
