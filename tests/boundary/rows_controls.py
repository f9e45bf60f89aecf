"""Text that would drive a terminal or hide in it: in every field, through each interface."""

from __future__ import annotations

from typing import Any

from testkit.hostile_text import ALL, forbidden, write_results

import cpr_nb as cpr
from boundary.interfaces import Use, completion, magic, python, tab
from boundary.place import Place
from boundary.table import Row
from cpr_nb.model.errors import CprError

ATTACK = "text that drives a terminal"
#: The first session that `write_results` writes: enough of its id, and its folder's place.
ENDED, INTERRUPTED = "00000000", "00000001"


def shows(name: str, use: Use, code: str = "\\u202e") -> Row:
    """An interface that shows such text: by its code."""

    def carry_out(place: Place) -> None:
        write_results(place.results, ALL)
        text = use(place)
        for character in sorted(forbidden(text)):
            place.escaped(f"{character!r} in {name}")
        place.expect(code in text, f"{code!r} is not in {text!r}")

    return Row(ATTACK, name, carry_out)


def on_terminal(*args: str) -> Use:
    """The command at a real terminal."""

    def use(place: Place) -> str:
        with place.command(place.stub_env()).on_terminal(*args, columns=200) as terminal:
            terminal.finish()
            if args[0] == "watch":  # it has colours and a frame, which are its own
                return terminal.text.replace("\r", "")
            return terminal.output.decode().replace("\r\n", "\n")  # as a terminal ends lines

    return use


def ended(function: Any) -> Use:
    """The handle on a session."""

    def call(place: Place) -> str:
        folder = next(place.results.glob(f"session-{ENDED}*"))
        return str(function(cpr.attach(str(folder))))

    return python(call)


def _error_of(function: Any) -> str:
    try:
        function()
    except CprError as error:
        return str(error)
    return "no error"


_COMMANDS = [
    shows("cpr list", on_terminal("list")),
    shows("cpr overview", on_terminal("overview"), "Total Sessions: 4"),
    shows("cpr status", on_terminal("status", ENDED)),
    shows("cpr results", on_terminal("results", ENDED)),
    shows("cpr report", on_terminal("report", ENDED, "-o", "-")),
    shows("cpr logs", on_terminal("logs", ENDED)),
    shows("cpr diff", on_terminal("diff", ENDED)),
    shows("cpr watch", on_terminal("watch", ENDED)),
    shows("cpr merge --dry-run", on_terminal("merge", "--dry-run", ENDED)),
    shows("cpr pr --dry-run", on_terminal("pr", "--dry-run", ENDED)),
    shows("cpr clean --dry-run", on_terminal("clean", "--dry-run"), "cpr"),
    shows("cpr resume", on_terminal("resume", INTERRUPTED)),
    shows(
        "cpr status of nothing",
        on_terminal("status", ALL.replace("\0", "").encode("utf-8", "ignore").decode()),
    ),
    shows("completion of a shell", completion("cpr status "), ""),
]
_LIBRARY = [
    shows("repr of a Session", ended(repr)),
    shows("repr of a Task", ended(lambda s: repr(s[0]))),
    shows("repr of a Diff", ended(lambda s: repr(s[0].diff()))),
    shows("a session's warnings", ended(lambda s: "".join(s.warnings))),
    shows("str of an error", ended(lambda s: _error_of(lambda: s.task(ALL)))),
    shows("a Session as a card", ended(lambda s: s._repr_html_()), "</span>u202e"),
    shows("a Task as a card", ended(lambda s: s[1]._repr_html_()), "</span>u202e"),
    shows("a Diff as HTML", ended(lambda s: s[0].diff()._repr_html_())),
    shows(
        "the dashboard as HTML",
        python(lambda _: cpr.dashboard()._repr_html_()),  # type: ignore[attr-defined]
        "</span>x9b",
    ),
    shows("repr of the dashboard", python(lambda _: repr(cpr.dashboard()))),
    shows("the report", ended(lambda s: s.report().html)),
    shows("the timeline", ended(lambda s: s.timeline().svg), "\\x9b"),
    shows("%cpr status", magic(f"status {ENDED}")),
    shows("%cpr logs", magic(f"logs {ENDED}")),
    shows("Tab after %cpr", tab("%cpr status "), ""),
]

ROWS = [*_COMMANDS, *_LIBRARY]
