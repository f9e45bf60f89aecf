"""A foreign session with the name, the age or the identity of one of the user's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from testkit.command import LIMIT_S
from testkit.stub import plan

import cpr_nb as cpr
from boundary.forgery import FORGED, FORGED_ID, forge
from boundary.interfaces import Use, command, magic, python
from boundary.place import Place
from boundary.table import Row

ATTACK = "a foreign session in the place of one's own"
MINE = "my own answer"
_PROMPT = plan(result={"result": MINE})
_FAILING = plan(result={"result": MINE, "is_error": True, "subtype": "error_during_execution"})


def own(place: Place, prompt: str = _PROMPT) -> cpr.Session:
    """One of the user's sessions, which has ended."""
    return place.launch(place.stub_env(), [prompt], name="work", attempts=1).wait(LIMIT_S)


def chosen(name: str, use: Use, *, is_live: bool = False) -> Row:
    """An interface that must choose the user's own session, not the newer one of that name."""

    def carry_out(place: Place) -> None:
        session = own(place)
        forge(session, is_live=is_live)
        text = use(place)
        place.expect(session.id[:8] in text, f"{session.id} is not in {text!r}")
        if FORGED_ID[:8] in text or FORGED in text:
            place.escaped(f"the foreign session was chosen: {text!r}")

    return Row(ATTACK, name, carry_out)


def not_attached(name: str, launch: Callable[[Place], Any], *, retry: bool = False) -> Row:
    """A launch that must run, though a foreign session says that it has done the same."""

    def carry_out(place: Place) -> None:
        session = own(place, _FAILING if retry else _PROMPT)
        if retry:
            with place.inside(place.stub_env()):
                session = session.retry().wait(LIMIT_S)
        forge(session)
        shutil.rmtree(session.path)  # only the forged one is left
        before = _calls(place)
        launch(place)
        if _calls(place) == before:
            place.escaped("the launch attached to a forged answer")

    return Row(ATTACK, name, carry_out)


def _calls(place: Place) -> set[str]:
    return {file.name for file in (place.stub.folder / "calls").iterdir()}


def _launch(place: Place) -> None:
    with place.inside(place.stub_env()):
        cpr.launch([_PROMPT], attempts=1, reuse=True).wait(LIMIT_S)


def _run(place: Place) -> None:
    text = json.dumps({"prompts": [_PROMPT]})
    place.command(place.stub_env())("run", "--attempts", "1", "--reuse", "--wait", stdin=text)


def _retry(place: Place) -> None:
    with place.inside(place.stub_env()):
        failed = [s for s in cpr.sessions_df().session_id if s != FORGED_ID]
        cpr.attach(failed[0]).retry(reuse=True).wait(LIMIT_S)


def linked_results(name: str, use: Use) -> Row:
    """`results` of a cloned repository is a link to a folder that holds a session."""

    def carry_out(place: Place) -> None:
        victim = place.folder / "elsewhere"
        (victim / f"session-{FORGED_ID}").mkdir(parents=True)
        place.keep(victim)
        place.results.symlink_to(victim)
        use(place)

    return Row("`results` is a link that leads elsewhere", name, carry_out)


ROWS = [
    chosen("cpr status NAME", command("status", "work")),
    chosen("cpr results NAME", command("results", "work")),
    chosen("cpr resume, the newest", command("resume")),
    chosen("cpr resume, the newest live one", command("resume"), is_live=True),
    chosen("cpr.attach(NAME)", python(lambda _: repr(cpr.attach("work")))),
    chosen("%cpr status NAME", magic("status work")),
    not_attached("cpr.launch, reuse", _launch),
    not_attached("cpr run --reuse", _run),
    not_attached("Session.retry, reuse", _retry, retry=True),
    linked_results("cpr run", command("run", "-", stdin=json.dumps({"prompts": [_PROMPT]}))),
    linked_results("cpr.launch", python(lambda _: cpr.launch(["Do it."]).wait(LIMIT_S))),
]
