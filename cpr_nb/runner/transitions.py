"""The states of a task and every legal transition between them.

``docs/states.md`` is made from this module. An event that a task can't have in its state, or a
step to a state that can't follow, is a bug of ours: `IllegalTransition`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PENDING, PREPARING, STARTING, RUNNING, TERMINATING, RESTING, CHECKING, HARVESTING, ENDED = range(9)

#: Each state's name and what it means, in the order of their numbers.
STATES = (
    ("pending", "It has not started."),
    ("preparing", "A helper process makes its worktree ready."),
    ("starting", "Its next attempt is journalled, and its process is about to start."),
    ("running", "Its agent runs."),
    ("terminating", "What runs for it was asked to end (SIGTERM); SIGKILL follows if it does not."),
    ("resting", "It waits for another attempt."),
    ("checking", "Its agent succeeded, and the user's own check runs."),
    ("harvesting", "It has its outcome, and a helper process saves what it left in its worktree."),
    ("ended", "Its outcome is recorded. This state is final."),
)

# These are no messages of `cpr_nb.runner.messages`, but they move a task as an event does.
ADMITTED = "Admitted"
CLOSED = "Closed"
TIMER = "Timer"

#: Every event that concerns one task, with when it comes.
EVENTS = {
    ADMITTED: "nothing holds it back, and there is room for one more task",
    "Prepared": "its worktree is ready, or could not be made",
    "Started": "its process runs",
    "Postponed": "the disk had no room for its files, or the machine can't start it now",
    "Unplaced": "it was to get a process that serves several tasks, and may not start any more",
    "Began": "its CLI wrote its first event in this attempt",
    "Responded": "the API answered it for the first time in this attempt",
    "Throttled": "the API refused it for now (429, 529)",
    "SetupRefused": "the CLI's set-up is not as asked, and it has `strict_setup`",
    "Limited": "it ran into a limit of the account, or its credential is refused",
    "Lingering": "its turn ended, and only commands keep its process alive; or it works again",
    "Spent": "its stream shows that it has used more",
    "OutputPolled": "the answer to PollOutput: when it wrote last",
    "Ended": "its process ended, or could not be started",
    "Checked": "the user's own check ended",
    "Harvested": "what it left in its worktree is safe",
    "Cancel": "it, or the whole session, was cancelled",
    "Close": "a rule of the session says that it need not run",
    TIMER: "one of its time limits, its pause or its grace period is over",
    CLOSED: "it starts no more: the budget is spent, access is refused, or it has waited too long "
    "for a login or the machine",
}

_FINISH = {HARVESTING: ("Harvest",), ENDED: ("Finish",)}
_TERMINATE = {TERMINATING: ("Terminate",)}
_BEGIN = {PREPARING: ("Prepare",), STARTING: ("Start",)}
_AFTER_ATTEMPT = {RESTING: ("Rest",), CHECKING: ("Check",), **_FINISH}

#: (state, event) → the states that may follow, each with the instructions that go with it.
TRANSITIONS: Mapping[tuple[int, str], Mapping[int, tuple[str, ...]]] = {
    (PENDING, ADMITTED): _BEGIN,
    (PENDING, "Cancel"): {ENDED: ("Finish",)},
    (PENDING, CLOSED): {ENDED: ("Finish",)},
    (PENDING, "Close"): {ENDED: ("Finish",)},
    (PREPARING, "Prepared"): {STARTING: ("Start",), RESTING: (), **_FINISH},
    (PREPARING, "Postponed"): {RESTING: ()},
    (PREPARING, "Cancel"): _TERMINATE,
    (PREPARING, TIMER): _TERMINATE,
    (STARTING, "Started"): {RUNNING: ()},
    (STARTING, "Postponed"): {RESTING: ()},
    (STARTING, "Unplaced"): {RESTING: ()},
    (STARTING, "Ended"): _FINISH,
    (STARTING, "Cancel"): {TERMINATING: ()},
    (RUNNING, "Throttled"): _TERMINATE,
    (RUNNING, "Limited"): _TERMINATE,
    (RUNNING, "SetupRefused"): _TERMINATE,
    (RUNNING, "OutputPolled"): _TERMINATE,
    (RUNNING, "Ended"): _AFTER_ATTEMPT,
    (RUNNING, "Cancel"): _TERMINATE,
    (RUNNING, TIMER): {RUNNING: ("PollOutput",), **_TERMINATE},
    (TERMINATING, "Prepared"): _FINISH,
    (TERMINATING, "Started"): _TERMINATE,
    (TERMINATING, "Postponed"): _FINISH,
    (TERMINATING, "Unplaced"): _FINISH,
    (TERMINATING, "Ended"): _AFTER_ATTEMPT,
    (TERMINATING, "Checked"): _FINISH,
    (TERMINATING, TIMER): {TERMINATING: ("Kill",)},
    (RESTING, ADMITTED): _BEGIN,
    (RESTING, "Cancel"): _FINISH,
    (RESTING, CLOSED): _FINISH,
    (RESTING, "Close"): _FINISH,
    (CHECKING, "Checked"): _FINISH,
    (CHECKING, "Postponed"): {CHECKING: (), **_FINISH},
    (CHECKING, "Cancel"): {**_TERMINATE, **_FINISH},
    (CHECKING, TIMER): {CHECKING: ("Check",), **_TERMINATE},
    (HARVESTING, "Harvested"): {ENDED: ("Finish",)},
    (HARVESTING, "Postponed"): {HARVESTING: ()},
    (HARVESTING, TIMER): {HARVESTING: ("Harvest",)},
}
#: Events that a task has only in the states that the table names. The others may come too late.
STRICT_EVENTS = frozenset(
    ("Prepared", "Started", "Postponed", "Unplaced", "Ended", "Checked", "Harvested")
)


class IllegalTransition(Exception):
    """A task was to do what it can't do in its state.

    Attributes:
        task: The task's number, from 0.
        problem: What was wrong, in one line.
    """

    def __init__(self, task: int, problem: str, story: str) -> None:
        super().__init__(f"{problem}\nIts recent events:\n{story}")
        self.task = task
        self.problem = problem


_N_EVENTS = 20
_ENTRY_BYTES = 6
_NAMES = tuple(EVENTS)
_CODES = {name: code for code, name in enumerate(_NAMES)}


class Stories:
    """The recent events of the tasks that are under way: six bytes for each event.

    Example:
        >>> stories = Stories()
        >>> stories.add(3, 1.5, "Started", RUNNING)
        >>> print(stories.text(3))
              1.50 s  Started: running
    """

    def __init__(self) -> None:
        self._entries: dict[int, bytes] = {}

    def add(self, task: int, at_s: float, event: str, state: int) -> None:
        """Adds an event: when it came, and the state after it."""
        moment = int(at_s * 100) & 0xFFFFFFFF
        entry = (moment << 16 | _CODES[event] << 8 | state).to_bytes(_ENTRY_BYTES)
        entries = self._entries.get(task, b"") + entry
        self._entries[task] = entries[-_N_EVENTS * _ENTRY_BYTES :]

    def drop(self, task: int) -> None:
        """Forgets a task that has ended."""
        self._entries.pop(task, None)

    def text(self, task: int) -> str:
        """A task's recent events, one per line, the oldest first."""
        entries = self._entries.get(task, b"")
        lines = []
        for start in range(0, len(entries), _ENTRY_BYTES):
            entry = int.from_bytes(entries[start : start + _ENTRY_BYTES])
            moment, event, state = entry >> 16, _NAMES[entry >> 8 & 0xFF], entry & 0xFF
            lines.append(f"{moment / 100:10.2f} s  {event}: {STATES[state][0]}")
        return "\n".join(lines) or "(none)"
