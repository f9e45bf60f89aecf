"""What holds tasks back because of the machine, and which of them tries whether it is over. Pure.

A hold begins when a task can't be started. The task is parked. One parked task, or a new one, tries
again: after a tenth of a second at first, then after twice as long each time. If it starts, the
hold is over. A missing folder holds only the tasks that were refused there, unless several are
refused in a row: then it holds all, and new tasks try.
"""

from __future__ import annotations

from collections import deque

from cpr_nb.model.machine_causes import CLI, FOLDER, HELPER, NODES, PROCESSES, SETUP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cpr_nb.model.machine_causes import MachineCause

#: How long to wait for the machine unless someone sets it.
MACHINE_WAIT_S = 3600.0
#: Half a second without the CLI's file is to cost about that; a CLI that starts costs seconds.
FIRST_PROBE_S = {CLI: 0.1, FOLDER: 0.1, PROCESSES: 0.1, SETUP: 1.0, NODES: 1.0}
LAST_PROBE_S = {CLI: 30.0, FOLDER: 30.0, PROCESSES: 30.0, SETUP: 60.0, NODES: 5.0}
#: From so many refusals in a row on, a missing folder holds all tasks.
N_IN_A_ROW = 3

_NOTICES = {
    CLI: "the CLI can't be started ({}); tries again by itself",
    FOLDER: "the working folder can't be entered ({}); continues when it is back",
    PROCESSES: "no more processes can be started ({}); tries again by itself",
    NODES: "{}",
    SETUP: "the CLI or a helper ends at its start ({}); tries again by itself",
}


def probe_delay_s(kind: str, n_probes: int) -> float:
    """How long to wait before another try.

    Args:
        kind: The kind of the cause.
        n_probes: How many tries there were.
    """
    return min(LAST_PROBE_S[kind], FIRST_PROBE_S[kind] * 2.0 ** min(n_probes, 20))


class Hold:
    """One cause that holds tasks back.

    Attributes:
        cause: The cause.
        since: Since when.
        parked: The tasks that were refused, and wait for its end.
        probe: The task that tries, or None.
        probe_was_parked: Whether it had been refused here.
        probe_at: When one may try; None while one does, or may.
        may_probe: Whether one may try now.
        n_in_a_row: How many were refused since a task was started last.
    """

    __slots__ = (
        *("cause", "may_probe", "n_in_a_row", "n_probes"),
        *("parked", "probe", "probe_at", "probe_was_parked", "since"),
    )

    def __init__(self, cause: MachineCause, at_s: float) -> None:
        self.cause = cause
        self.since = at_s
        self.parked: deque[int] = deque()
        self.probe: int | None = None
        self.probe_was_parked = False
        self.probe_at: float | None = None
        self.may_probe = False
        self.n_in_a_row = self.n_probes = 0

    @property
    def holds_all(self) -> bool:
        """Whether it holds back the tasks, too, that were not refused."""
        return self.cause.kind != FOLDER or self.n_in_a_row >= N_IN_A_ROW

    def wait(self, at_s: float) -> None:
        """Sets when the next task tries, unless that is set."""
        if self.probe is None and self.probe_at is None and not self.may_probe:
            self.probe_at = at_s + probe_delay_s(self.cause.kind, self.n_probes)
            self.n_probes += 1

    def allow_probe(self) -> None:
        """Lets one task try."""
        self.probe_at, self.may_probe = None, self.probe is None


class MachineHolds:
    """All that holds tasks back because of the machine.

    Args:
        wait_s: How long it waits for the end of each.

    Example:
        >>> from cpr_nb.model.machine_causes import MachineCause
        >>> holds = MachineHolds()
        >>> holds.refused(0.0, 7, MachineCause(CLI, "/bin/claude", "no such file"))
        >>> holds.blocking is not None, holds.next_at
        (True, 0.1)
        >>> holds.started(0.5, 8)
        [7]
        >>> holds.blocking is None
        True
    """

    def __init__(self, wait_s: float = MACHINE_WAIT_S) -> None:
        self.wait_s = wait_s
        self._holds: dict[tuple[str, str], Hold] = {}
        #: The tasks whose check or harvest waits for the machine, and for what.
        self.sides: dict[int, MachineCause] = {}
        self.paused = False

    def __iter__(self) -> Iterator[Hold]:
        return iter(self._holds.values())

    # -- reports ----------------------------------------------------------------------------

    def refused(self, at_s: float, task: int, cause: MachineCause) -> None:
        """A task could not be started; it is parked."""
        self.withdraw(task, at_s)
        key = cause.kind, cause.place
        hold = self._holds.setdefault(key, Hold(cause, at_s))
        hold.cause = cause
        hold.n_in_a_row += 1
        hold.parked.append(task)
        hold.wait(at_s)

    def has(self, cause: MachineCause) -> bool:
        """Whether this cause holds tasks back already."""
        return (cause.kind, cause.place) in self._holds

    def probes(self, task: int) -> bool:
        """Whether a task tries now."""
        return any(hold.probe == task for hold in self)

    def admitted(self, task: int, hold: Hold | None, *, was_parked: bool) -> None:
        """A task is about to start: it tries for this hold, if there is one."""
        if hold is not None:
            hold.probe, hold.may_probe, hold.probe_at = task, False, None
            hold.probe_was_parked = was_parked

    def withdraw(self, task: int, at_s: float) -> None:
        """A task does not try (any more), and has proved nothing."""
        for hold in self:
            if hold.probe == task:
                hold.probe = None
                hold.wait(at_s)

    def started(self, at_s: float, task: int) -> list[int]:
        """A task's process runs: returns the tasks that wait no longer."""
        released: list[int] = []
        for key, hold in list(self._holds.items()):
            tries = hold.probe == task
            if hold.cause.kind == FOLDER and not (tries and hold.probe_was_parked):
                hold.n_in_a_row = 0  # tasks in other folders start
                if tries:
                    hold.probe, hold.probe_at = None, at_s
            elif hold.cause.kind != SETUP:
                released += self._release(key)
        return released

    def began(self) -> list[int]:
        """A task's CLI has begun to work: returns the tasks that wait no longer."""
        return self._release_all(lambda cause: cause.kind == SETUP and cause.place != HELPER)

    def helper_ran(self) -> list[int]:
        """A helper was started: returns the tasks that wait no longer."""
        return self._release_all(lambda cause: cause.kind == PROCESSES or cause.place == HELPER)

    def expired(self, at_s: float) -> list[Hold]:
        """Removes and returns the holds that have been waited for long enough."""
        if self.gives_up_at is None or at_s < self.gives_up_at:
            return []
        over = [key for key, hold in self._holds.items() if at_s >= hold.since + self.wait_s]
        return [self._holds.pop(key) for key in over]

    def _release_all(self, is_over: Callable[[MachineCause], bool]) -> list[int]:
        keys = [key for key, hold in self._holds.items() if is_over(hold.cause)]
        return [task for key in keys for task in self._release(key)]

    def _release(self, key: tuple[str, str]) -> Iterable[int]:
        return self._holds.pop(key).parked

    def resumed(self, at_s: float) -> None:
        """Someone wants it to continue: it tries at once, and waits anew."""
        self.paused = False
        for hold in self:
            hold.since = at_s
            hold.allow_probe()

    def tick(self, at_s: float) -> None:
        """Lets those try whose moment has come."""
        for hold in self:
            if hold.probe_at is not None and at_s >= hold.probe_at:
                hold.allow_probe()

    # -- questions --------------------------------------------------------------------------

    @property
    def blocking(self) -> Hold | None:
        """What holds back all tasks, or None."""
        holding = [hold for hold in self if hold.holds_all]
        shut = [hold for hold in holding if not hold.may_probe]
        return next(iter(shut or holding), None)

    def pop_parked(self, waits: Callable[[int], bool]) -> tuple[int, Hold] | None:
        """Removes and returns a parked task that may try now, and what it tries."""
        for hold in self:
            while hold.may_probe and hold.parked:
                task = hold.parked.popleft()
                if waits(task):
                    return task, hold
        return None

    @property
    def next_at(self) -> float | None:
        """When it has something to do; None if it waits for events only."""
        moments = [hold.probe_at for hold in self if hold.probe_at is not None]
        return min(moments, default=None)

    @property
    def gives_up_at(self) -> float | None:
        """When it has waited long enough for one of them; None if it does not wait now."""
        if self.paused or not self._holds:
            return None
        return min(hold.since for hold in self) + self.wait_s

    def shown(self, n_active: int) -> MachineCause | None:
        """For what the session waits: what holds all, or what all that is left waits for.

        Args:
            n_active: How many tasks run, those among them whose check or harvest waits.
        """
        hold = self.blocking
        if hold is not None:
            return hold.cause
        if n_active > len(self.sides):
            return None
        causes = [*self.sides.values(), *(hold.cause for hold in self)]
        return causes[0] if causes else None

    def notice_of(self, cause: MachineCause) -> str:
        """One line for the user."""
        return _NOTICES[cause.kind].format(cause.words)
