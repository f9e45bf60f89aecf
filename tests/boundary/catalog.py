"""All the rows of the table.

A module ``rows_<name>.py`` in this folder adds its rows by a list ``ROWS``; nothing else needs to
know of it. A row is a function that gets a `boundary.place.Place`, builds the attack there and uses
one interface; what the table counts, the place finds out itself:

    def forged_request(place: Place) -> None:
        session = place.launch(place.stub_env(), [plan(gate="g")])
        (session.path / "requests" / "cancel").touch()
        …
        if session.state == "cancelled":
            place.escaped("a file in the session's folder has cancelled it")
        place.expect("done" in session[0].text, "the task did not go on")

    ROWS = [Row("a forged request", "the runner", forged_request)]

``real=True`` marks a row with the real CLI, ``slow=True`` one that takes more than about a second
of one core: `tests/check.py` leaves it out without ``--all``. A row that this machine does not
allow raises `CannotAttackError`. Everything that is built is minimal and harmless: a program that
leaves a marker, a folder that must stay.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from boundary.table import Row


def all_rows() -> list[Row]:
    """The rows of every module, in the order of the modules' names."""
    rows: list[Row] = []
    for file in sorted(Path(__file__).parent.glob("rows_*.py")):
        rows += importlib.import_module(f"boundary.{file.stem}").ROWS
    return rows
