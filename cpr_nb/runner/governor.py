"""How many tasks may run at once, and when the next one may start. Pure, as the schedule is.

Before the API has refused anything, only the user's own limit counts; where they set none, the
number grows while tasks mostly wait (`cpr_nb.runner.growth`). From the first refusal
(429, 529) on, concurrency adapts as a network's does: a window halves when the API refuses, and
grows by one each time that as many tasks as fit in it have ended (additive increase,
multiplicative decrease). Starts are then spread, so that waiting tasks do not all return at
once.

A *hold* is a limit that concerns every task (an account's usage limit, a lost login, a full
disk): nothing starts until it is over, except for one task that probes.
"""

from __future__ import annotations

from cpr_nb.model import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.model.limits import Limit
    from cpr_nb.runner.growth import Growth
    from cpr_nb.runner.messages import Measured

#: Least time between two starts while the API refuses requests now and then.
SPACING_S = 0.5
#: The window never gets smaller: with one task alone, much of a quota is lost to start-ups.
SMALLEST_WINDOW = 3
#: The window halves once for all refusals within this time: they have one cause.
COOL_S = 2.0
#: How long the CLI may wait by itself before a task without an answer is taken back. It has cost
#: nothing, and it can start again as soon as the quota allows.
PATIENCE_S = 3.0
#: When to check whether a limit still holds if its end is not known: twice as long each time.
FIRST_PROBE_S = 60.0
LAST_PROBE_S = 900.0
#: When another task probes after one whose end proved nothing.
SOON_S = 1.0

#: How long to wait for a login unless someone sets it.
LOGIN_WAIT_S = 43_200.0

DISK = "disk"


class Governor:
    """Says whether a task may start now.

    Args:
        max_parallel: The user's limit; 0 for none.
        login_wait_s: How long it waits for a login.
        growth: The number that runs at once by default; None if the user set it.

    Example:
        >>> governor = Governor(2)
        >>> governor.may_start(0.0, 1), governor.may_start(0.0, 2)
        (True, False)
    """

    def __init__(
        self,
        max_parallel: int,
        login_wait_s: float = LOGIN_WAIT_S,
        growth: Growth | None = None,
    ) -> None:
        self.max_parallel = max_parallel
        self.growth = growth
        self.n_slots: int | None = None  # of the nodes; None: the tasks run on this machine
        self._reported = self._parallel
        self._login_wait_s = login_wait_s
        self._held_since = 0.0
        self.paused = False
        self.disk = ""  # why nothing can be written
        self.limit: Limit | None = None
        self.probe: int | None = None  # the task that probes
        self.probe_at: float | None = None
        self._may_probe = False
        self._n_probes = 0
        self._no_probe_before = 0.0
        self._window: float | None = None
        self._halved_at = 0.0
        self._first_limits: list[Limit] = []
        self._last_start_at = 0.0

    def begin_with(self, first_limits: Sequence[Limit]) -> None:
        """Waits for these before the first task, one after the other."""
        self._first_limits = list(first_limits)
        self._wait_for_next()

    def _wait_for_next(self) -> None:
        self.limit = self._first_limits.pop(0) if self._first_limits else None
        # Nobody knows yet how much of the usage window is used: one task shows it.
        self._may_probe = self.limit is not None and self.limit.kind == limits.RESERVE

    # -- questions -----------------------------------------------------------------------------

    def may_start(self, at_s: float, n_active: int) -> bool:
        """Whether a task may start now."""
        if self.paused or self.disk or n_active >= self.capacity:
            return False
        if self.limit is not None:
            return self._may_probe
        return at_s >= (self.next_start_at or at_s)

    @property
    def capacity(self) -> float:
        """How many may run at once now."""
        limit = self._limit
        return limit if self._window is None else min(limit, int(self._window))

    @property
    def _limit(self) -> float:
        """How many may run at once as long as the API refuses nothing."""
        limit = self.max_parallel or float("inf")
        if self.n_slots is not None:
            limit = min(limit, self.n_slots)
        return limit if self.growth is None else min(limit, self.growth.level)

    def is_narrow(self, n_tasks: int) -> bool:
        """Whether fewer tasks run at once for now than would otherwise."""
        return self._window is not None and self.capacity < min(self._limit, n_tasks)

    @property
    def next_start_at(self) -> float | None:
        """The earliest next start while starts are spread; None if they are not."""
        if self._window is None or self.limit is not None:  # a probe is alone anyway
            return None
        return self._last_start_at + SPACING_S

    @property
    def gives_up_at(self) -> float | None:
        """When it has waited long enough for a login; None if it does not wait for one now."""
        if self.limit is None or self.limit.kind != limits.LOGIN or self.paused:
            return None
        return self._held_since + self._login_wait_s

    def parallel_report(self) -> tuple[int, str] | None:
        """How many run at once by default now, and why, if that is new since the last call."""
        if self._reported == self._parallel:
            return None
        self._reported = self._parallel
        return self._parallel

    @property
    def _parallel(self) -> tuple[int, str] | None:
        return None if self.growth is None else (self.growth.level, self.growth.why)

    # -- reports ----------------------------------------------------------------------------

    def started(self, at_s: float, task: int) -> None:
        """A task starts."""
        self._last_start_at = at_s
        if self.limit is not None:
            self.probe, self._may_probe = task, False

    def measured(self, event: Measured, n_active: int) -> None:
        """The machine is so busy."""
        if self.growth is None or (self._window is not None and self._window < self.growth.level):
            return
        self.growth.measured(event.busy_share, n_active=n_active, n_more=event.n_more)

    def set_parallel(self, max_parallel: int) -> None:
        """Someone sets how many may run at once: exactly that counts from now on."""
        self.max_parallel, self.growth = max_parallel, None

    def throttled(self, at_s: float, n_active: int) -> None:
        """The API refused a request for now."""
        if self._window is None:
            self._window = max(SMALLEST_WINDOW, n_active / 2)
        elif at_s - self._halved_at >= COOL_S:
            self._window = max(SMALLEST_WINDOW, self._window / 2)
        else:
            return
        self._halved_at = at_s

    def ended(self, n_active: int) -> None:
        """One of ``n_active`` tasks ended after an answer of the API."""
        # A window that is not full proves nothing and must not grow: it would take many refusals
        # to matter again.
        if self._window is not None and n_active >= int(self._window):
            self._window += 1 / self._window

    def limited(self, at_s: float, limit: Limit, task: int) -> bool:
        """A task ran into a limit; returns whether that changed anything."""
        if self.limit is not None and task != self.probe:
            if self.limit.until_s is None and limit.until_s is not None:
                self._hold(limit, at_s)  # now its end is known
                self.probe_at = None
                return True
            return False
        self._hold(limit, at_s)
        self.probe, self._may_probe = None, False
        self.probe_at = None
        self._no_probe_before = at_s
        if limit.until_s is None or self._n_probes:
            delay_s = min(LAST_PROBE_S, FIRST_PROBE_S * 2.0 ** min(self._n_probes, 10))
            # An announced reset that turned out to be none is not tried again at once.
            self._no_probe_before = at_s + delay_s
        if limit.until_s is None:
            self.probe_at = self._no_probe_before
        self._n_probes += 1
        return True

    def _hold(self, limit: Limit, at_s: float) -> None:
        if self.limit is None or self.limit.kind != limit.kind:
            self._held_since = at_s
        self.limit = limit

    def probe_due(self, at_s: float) -> None:
        """The moment until which the limit was to hold has come."""
        if at_s >= self._no_probe_before:
            self.allow_probe()
        elif self.limit is not None and self.probe is None:
            self.probe_at = self._no_probe_before

    def resumed(self, at_s: float) -> None:
        """Someone wants it to continue: a limit is tried at once, and waited for anew."""
        self.paused = False
        self._held_since = at_s
        self.allow_probe()

    def allow_probe(self) -> None:
        """Lets a task probe whether the limit still holds."""
        self.probe_at = None
        if self.limit is not None and self.limit.kind == limits.TIME:
            self._wait_for_next()
        elif self.limit is not None and self.probe is None:
            self._may_probe = True

    def probe_over(self, *, answered: bool) -> None:
        """The API answered the probe, or it ended for a reason that is no limit."""
        self.limit, self.probe, self._may_probe, self.probe_at = None, None, False, None
        if answered:
            self._n_probes = 0

    def probe_withdrawn(self, at_s: float) -> None:
        """The probe ended without proving anything: another one starts soon."""
        self.probe = None
        self.probe_at = self._no_probe_before = at_s + SOON_S

    # -- descriptions ------------------------------------------------------------------------------

    @property
    def reason(self) -> str:
        """What the session waits for: ``disk``, or the kind of a limit, or nothing."""
        if self.disk:
            return DISK
        if self.limit is None or self._leads:
            return ""
        return self.limit.kind

    @property
    def _leads(self) -> bool:
        """Whether one task shows how much of the usage window is used: that is no wait."""
        limit = self.limit
        return limit is not None and limit.kind == limits.RESERVE and limit.until_s is None

    @property
    def notice(self) -> str:
        """The same in words for the user."""
        if self.disk:
            return f"nothing can be written ({self.disk}); continues when there is room"
        if self.limit is None:
            return ""
        trying = self.probe is not None
        if self._leads:
            return "one task leads: it shows how much of the usage window is used"
        if self.limit.kind == limits.TIME:
            return "nothing starts yet (not_before)"
        if self.limit.kind == limits.RESERVE:
            return "the rest of the usage window is kept for other work (reserve)" + (
                "; one task tries now" if trying else ""
            )
        if self.limit.kind == limits.LOGIN:
            return "not logged in: log in with claude; " + (
                "one task tries now" if trying else "tries again by itself"
            )
        return "the usage limit is reached" + ("; one task tries now" if trying else "")
