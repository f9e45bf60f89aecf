"""What came of a fault: one row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.world import World

HEADS = ("fault", "injected", "tasks", "lost", "run twice", "recovered by")


class CannotInjectError(Exception):
    """This machine does not allow the fault; the message says why."""


@dataclass
class Tally:
    """What came of a fault, or of several of one kind.

    Args:
        how: What brings the tasks through it.
        injected: How often it was put in.
        tasks: How many tasks it could have hit.
        lost: How many of them have no end, or not the good answer that they gave.
        twice: How many did what they do twice.
        wrong: Whatever else is not as it should be.
    """

    how: str
    injected: int = 0
    tasks: int = 0
    lost: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Adds what came of another one."""
        self.injected += other.injected
        self.tasks += other.tasks
        self.lost += other.lost
        self.twice += other.twice
        self.wrong += other.wrong

    def expect(self, good: object, words: str) -> None:
        """Notes what is wrong."""
        if not good:
            self.wrong.append(words)

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return not (self.lost or self.twice or self.wrong)


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        name: What the command calls it.
        says: What the table calls it.
        inject: Puts it in, in a world of its own, and says what came of it.
        real: Whether the agents are the real CLI.
        many: Whether it takes as many points as are wanted.
    """

    name: str
    says: str
    inject: Callable[[World], Tally]
    real: bool = False
    many: bool = False


def line(cells: Sequence[object]) -> str:
    """One line of the table, as Markdown."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def row(says: str, tally: Tally) -> str:
    """One row of the table."""
    how = tally.how if not tally.wrong else f"WRONG: {tally.wrong[0]}"
    return line((says, tally.injected, tally.tasks, tally.lost, tally.twice, how))
