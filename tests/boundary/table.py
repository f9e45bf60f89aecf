"""What came of an attack: one row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boundary.place import Place

HEADS = ("attack kind", "interface or command", "ran", "deleted", "escaped")


class CannotAttackError(Exception):
    """This machine does not allow the attack; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What came of one attack; every tuple must be empty.

    Args:
        ran: The marker programs that ran.
        deleted: The victims that are no longer whole.
        escaped: What somebody got that they must not have.
        wrong: Whatever else is not as it should be, such as a folder that can't be read.
    """

    ran: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    escaped: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the boundary held."""
        return not (self.ran or self.deleted or self.escaped or self.wrong)


@dataclass(frozen=True)
class Row:
    """One attack through one interface.

    Args:
        attack: The kind of attack.
        interface: The interface or command.
        carry_out: Builds the attack in a place of its own, and uses the interface.
        real: Whether the agents are the real CLI.
        slow: Whether it takes more than about a second of one core.
    """

    attack: str
    interface: str
    carry_out: Callable[[Place], None]
    real: bool = False
    slow: bool = False

    @property
    def name(self) -> str:
        """Both, as one text."""
        return f"{self.attack}: {self.interface}"


def line(cells: Sequence[object]) -> str:
    """One line of the table, as Markdown."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def line_of(row: Row, verdict: Verdict) -> str:
    """One row of the table."""
    counts = [len(verdict.ran), len(verdict.deleted), len(verdict.escaped)]
    interface = f"{row.interface}: WRONG: {verdict.wrong[0]}" if verdict.wrong else row.interface
    return line([row.attack, interface, *counts])
