"""Agents and the CLI's own rules: the results directory, the state directory, `.git`.

A sample of `boundary.rules`, which tries every mode with every odd name.
"""

from __future__ import annotations

from boundary.place import Place
from boundary.rules import Attempt
from boundary.table import Row

#: Mode → the name of its agent's folder.
_SAMPLE = {"read": "a[b]c", "edits": "a\\b {x,y}", "sandbox": "it's *?", "all": "party🎈"}


def _row(mode: str, name: str) -> Row:
    def carry_out(place: Place) -> None:
        Attempt(place, mode, name, is_linked=mode == "edits").run()

    return Row("an agent at its own controls", mode, carry_out, real=True, slow=True)


def opened_by_settings(place: Place) -> None:
    """What the user's settings open in the sandbox does not open these folders."""
    attempt = Attempt(place, "sandbox", "w")
    state = str(place.folder / "state w")
    opened = {
        "allowRead": [state, f"{state}/secret", f"{place.folder}/*"],
        "allowWrite": [state, f"{place.work}/w/results", f"{place.work}/w/.git"],
        "denyWrite": [],
        "denyRead": [],
        "disabled": True,
    }
    attempt.run(settings={"sandbox": {"filesystem": opened, "excludedCommands": ["touch:*"]}})


ROWS = [
    *(_row(mode, name) for mode, name in _SAMPLE.items()),
    Row("settings that open the sandbox", "sandbox", opened_by_settings, real=True, slow=True),
]
