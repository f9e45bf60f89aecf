"""A guard of the boundary: how it is taken out, and the test that fails then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_ROW = "tests/boundary/test_boundary.py::test_nothing_ran_or_was_deleted_or_escaped"


@dataclass(frozen=True)
class Guard:
    """One guard.

    Args:
        name: What it holds.
        file: The module that it is in, below the package.
        before: Its source: once in the module.
        after: What stands there when it is taken out.
        test: The test that fails then.
    """

    name: str
    file: str
    before: str
    after: str
    test: str

    def taken_out(self, source: str) -> str:
        """The module without the guard.

        Raises:
            ValueError: If the guard is not in it, or not only once.
        """
        if source.count(self.before) != 1:
            n_times = source.count(self.before)
            raise ValueError(f"{self.name}: {self.before!r} stands {n_times} times in {self.file}")
        return source.replace(self.before, self.after)


def row(attack: str, interface: str) -> str:
    """The test of one row of the table."""
    return f"{_ROW}[{attack}: {interface}]"


CONFIRMING = "tests/worktrees/test_confirming.py"


def refused(forgery: str) -> str:
    """The test that a worktree's record is refused if it is forged in this way."""
    return f"{CONFIRMING}::test_a_record_that_does_not_fit_is_refused[{forgery}]"
