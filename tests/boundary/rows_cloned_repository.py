"""A cloned repository: every option of its `[tool.cpr]` that could run or widen something."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pandas as pd
from testkit.command import LIMIT_S, prompts
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr
from boundary.interfaces import REFUSED, Use, command, magic, python
from boundary.place import Place
from boundary.rows_worktrees import interrupted
from boundary.table import Row

ATTACK = "a cloned repository"
TRUST = "cpr trust"


class ClonedRepository:
    """A repository that a stranger has made, in the user's folder.

    Args:
        place: Where.
        table: Its ``[tool.cpr]``.
    """

    def __init__(self, place: Place, table: dict[str, Any]) -> None:
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        text = "\n".join(["[tool.cpr]", *lines, ""])
        assert tomllib.loads(text)
        place.work.rmdir()
        checkout = Checkout.new(place.work)
        checkout.commit("begin", {"pyproject.toml": text, "prompts.json": prompts("a")})


def stopped(name: str, use: Use, **table: Callable[[Place], Any]) -> Row:
    """A launch that would run something of the repository's: it stops before anything is spent."""

    def carry_out(place: Place) -> None:
        ClonedRepository(place, {key: value(place) for key, value in table.items()})
        text = use(place)
        place.expect(text.startswith(REFUSED) and TRUST in text, f"not stopped: {text!r}")
        place.expect(not place.results.exists(), "a session was created")

    return Row(ATTACK, name, carry_out)


def refused(name: str, **table: Callable[[Place], Any]) -> Row:
    """What no repository may set at all."""

    def carry_out(place: Place) -> None:
        ClonedRepository(place, {key: value(place) for key, value in table.items()})
        text = _RUN(place)
        place.expect(text.startswith(REFUSED) and "not allowed" in text, f"not refused: {text!r}")
        place.expect(not place.results.exists(), "a session was created")

    return Row(ATTACK, f"cpr run, {name}", carry_out)


def widened(place: Place) -> None:
    """What would only allow more is left out, and said."""
    ClonedRepository(place, {"allow": ["Bash(touch:*)"], "tools": ["WebFetch", "Bash"]})
    text = _RUN(place)
    place.expect(TRUST in text, f"not told: {text!r}")
    (call,) = place.stub.calls().values()
    for word in call["argv"]:
        if "touch" in word or "WebFetch" in word:
            place.escaped(f"an agent got {word}")


def _calls(place: Place) -> list[str]:
    return [file.name for file in (place.stub.folder / "calls").iterdir()]


def resumed(place: Place) -> None:
    """What a pull brings between a launch and a resume needs trust, too."""
    session = interrupted(place)
    hook = {"hooks": [{"type": "command", "command": place.program("hook")}]}
    Checkout(place.work).write(
        {".claude/settings.json": json.dumps({"hooks": {"SessionStart": [hook]}})}
    )
    before = len(_calls(place))
    for words in (["resume", session.id], ["resume", "--all"]):
        done = place.command(place.stub_env())(*words)
        place.expect(TRUST in done.stdout + done.stderr, f"not told: {done}")
        place.expect(done.returncode, f"not refused: {done}")
    if len(_calls(place)) != before:
        place.escaped("an agent was started with the hooks of the repository")
    place.command(place.stub_env()).good("trust", "--yes")
    place.command(place.stub_env()).good("resume", session.id)
    place.stub.await_here("a")
    place.stub.release("a")
    session.wait(LIMIT_S)


_RUN = command("run", "--wait", stdin=prompts(plan()))
_CHECK = {"check": lambda place: place.program("check")}
_LAUNCH = python(lambda _: cpr.launch([plan()]))
_ROWS, _DO = ("-", "--format", "jsonl"), json.dumps({"do": plan()})
_MAP = python(lambda _: cpr.map("{a}", pd.DataFrame({"a": [plan()]})))

ROWS = [
    stopped("cpr run, check", _RUN, **_CHECK),
    stopped(
        "cpr run, setup",
        _RUN,
        setup=lambda place: place.program("setup"),
        worktree=lambda _: True,
    ),
    stopped("cpr run, cwd", _RUN, cwd=lambda place: str(place.victim("precious"))),
    stopped(
        "cpr run, worktree_dir",
        _RUN,
        worktree_dir=lambda place: str(place.victim("precious")),
        worktree=lambda _: True,
    ),
    stopped("cpr run, results_dir", _RUN, results_dir=lambda place: str(place.victim("precious"))),
    stopped("cpr run --reuse, check", command("run", "--reuse", "prompts.json"), **_CHECK),
    stopped("cpr map, check", command("map", "{do}", *_ROWS, stdin=_DO), **_CHECK),
    stopped("cpr map -o, check", command("map", "{do}", *_ROWS, "-o", "-", stdin=_DO), **_CHECK),
    stopped("cpr.launch, check", _LAUNCH, **_CHECK),
    stopped("cpr.map, check", _MAP, **_CHECK),
    stopped("%cpr run, check", magic("run prompts.json"), **_CHECK),
    refused("claude_path", claude_path=lambda place: place.program("claude")),
    refused("claude_args", claude_args=lambda _: ["--verbose"]),
    refused("env", env=lambda _: ["A=b"]),
    refused("on_done", on_done=lambda place: place.program("notice")),
    refused("permissions=all", permissions=lambda _: "all"),
    Row(ATTACK, "cpr run, allow and tools", widened),
    Row(ATTACK, "cpr resume, hooks since the launch", resumed),
]
