"""A foreign session that the user has looked at, and has not trusted as it stands."""

from __future__ import annotations

from collections.abc import Callable

import cpr_nb as cpr
from boundary.hostile import INTERRUPTED, HostileFolder
from boundary.interfaces import REFUSED, Use, command, python
from boundary.place import Place
from boundary.table import Row

ATTACK = "a foreign session that was nearly trusted"


def nearly(name: str, look: Callable[[Place, HostileFolder], None], told: str = "foreign") -> Row:
    """After a look of some kind, the session is still refused, and nothing of it has run."""

    def carry_out(place: Place) -> None:
        folder = HostileFolder(place)
        look(place, folder)
        text = command("resume", INTERRUPTED)(place)
        place.expect(text.startswith(REFUSED) and told in text, f"not refused: {text!r}")

    return Row(ATTACK, name, carry_out)


def shown(use: Use, *, is_refused: bool = True) -> Callable[[Place, HostileFolder], None]:
    """What would run is shown; that is all."""

    def look(place: Place, folder: HostileFolder) -> None:
        text = use(place)
        for words in (*folder.programs.values(), "permissions all", str(folder.trap.path)):
            place.expect(words in text, f"{words!r} is not in {text!r}")
        place.expect(text.startswith(REFUSED) is is_refused, text)

    return look


def called(use: Use) -> Callable[[Place, HostileFolder], None]:
    """The library asks, and nobody is there."""

    def look(place: Place, _: HostileFolder) -> None:
        text = use(place)
        place.expect(text.startswith(REFUSED) and "nobody can answer" in text, text)

    return look


def pressed(*args: str) -> Callable[[Place, HostileFolder], None]:
    """A person at a terminal presses Enter."""

    def look(place: Place, _: HostileFolder) -> None:
        with place.command(place.stub_env()).on_terminal(*args) as terminal:
            terminal.read_until("[y/N]")
            terminal.press("\n")
            place.expect(terminal.finish() != 0, "the command did what it was not allowed")

    return look


def changed(place: Place, folder: HostileFolder) -> None:
    """It is trusted, and then changed."""
    place.expect("Trust" not in command("trust", INTERRUPTED, "--yes")(place), "it asked")
    file = folder.path(INTERRUPTED) / "session.json"
    file.write_text(file.read_text().replace('"id":"skipped"', '"id":"skipped" '))


def taken_back(place: Place, _: HostileFolder) -> None:
    """It is trusted, and then not any more."""
    command("trust", INTERRUPTED, "--yes")(place)
    command("trust", INTERRUPTED, "--forget")(place)


def another(place: Place, folder: HostileFolder) -> None:
    """All the others are trusted: it came only after the yes."""
    kept = folder.path(INTERRUPTED).rename(place.folder / "later")
    command("trust", str(place.results), "--yes")(place)
    kept.rename(folder.path(INTERRUPTED))


ROWS = [
    nearly("cpr trust without a terminal", shown(command("trust", INTERRUPTED))),
    nearly("cpr trust, Enter", pressed("trust", INTERRUPTED)),
    nearly("cpr trust RESULTS_DIR, Enter", pressed("trust", "results")),
    nearly("cpr cancel, Enter", pressed("cancel", INTERRUPTED)),
    nearly("cpr.trust where nobody can answer", called(python(lambda _: cpr.trust(INTERRUPTED)))),
    nearly("changed after the yes", changed),
    nearly("taken back", taken_back),
    nearly("come after the yes for all", another),
]
