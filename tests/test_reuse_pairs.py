"""Two launches, one after the other: what counts as the same, and what is said or run again.

Each pair of the table is a map of one row, which succeeds, and the same map with ``reuse=True`` and
one thing changed. All pairs are planned and compared; some of them run, too.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.launching.from_frame import plan_map
from cpr_nb.model import identity
from cpr_nb.model.options import OPTIONS
from cpr_nb.runner import session_spec

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
ANSWER = plan(result={"structured_output": {"a": 1, "b": "x"}})


@dataclasses.dataclass
class Side:
    """One of the two launches of a pair.

    Args:
        options: The options of the map.
        cells: Further columns of its row.
        environ: Variables that the launching process has.
        prompt: The prompt.
        before: Called in the launch's folder before it.
    """

    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cells: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prompt: str = ANSWER
    before: Callable[[], None] = lambda: None


@dataclasses.dataclass
class Pair:
    """Two launches.

    Args:
        kind: What differs.
        one: The first.
        two: The second.
        same: Whether the first one's answer is that of the second.
        line: What is printed about the difference.
    """

    kind: str
    one: Side
    two: Side
    same: bool
    line: str = ""


def options(**values: Any) -> Side:
    return Side(values)


def _write(name: str, text: str) -> Callable[[], None]:
    return lambda: Path(name).write_text(text) and None


def _commit(text: str) -> Callable[[], None]:
    def commit() -> None:
        repo = Checkout(Path.cwd())
        repo.git("init", "-q", "-b", "main")
        repo.write({"a.txt": text, ".gitignore": "results/\n"})
        repo.commit(text)

    return commit


def _other_cli() -> None:
    """Puts a copy of the CLI beside it."""
    cli = Path(os.environ["CPR_CLAUDE"])
    shutil.copy2(cli, cli.with_name("other"))
    os.environ["CPR_CLAUDE"] = str(cli.with_name("other"))


def _version(version: str) -> Callable[[], None]:
    """Updates the CLI."""

    def update() -> None:
        cli = Path(os.environ["CPR_CLAUDE"])
        cli.with_name("version").write_text(f"{version} (Claude Code)")
        cli.touch()

    return update


def _link() -> None:
    Path("folder").mkdir()
    Path("link").symlink_to("folder")


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    "required": ["a", "b"],
}
TURNED = {name: SCHEMA[name] for name in reversed(SCHEMA)}
ORDERED = {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}
MODEL = {"ANTHROPIC_MODEL": "opus"}
AGENTS = {"helper": {"description": "helps", "prompt": "Help."}}

SAME = [
    Pair("nothing", Side(), Side(), True),
    Pair("the default permissions", Side(), options(permissions="edits"), True),
    Pair("the default attempts", options(attempts=2), Side(), True),
    Pair("the default time limits", Side(), options(first_byte_s=600, linger_s=900), True),
    Pair("a flag that is off", Side(), options(safe_mode=False, worktree=False), True),
    Pair("an empty list", Side(), options(allow=[], deny=[], add_dirs=[], claude_args=[]), True),
    Pair("empty variables", Side(), options(env={}), True),
    Pair(
        "the default tools",
        Side(),
        options(tools="Bash,Edit,Glob,Grep,NotebookEdit,Read,TaskOutput,TaskStop,ToolSearch,Write"),
        True,
    ),
    Pair("the default folder", Side(), options(cwd="."), True),
    Pair("a link to the folder", Side({"cwd": "folder"}, before=_link), options(cwd="link"), True),
    Pair(
        "the order of allow",
        options(allow=["Bash(a)", "Bash(b)"]),
        options(allow=["Bash(b)", "Bash(a)", "Bash(b)"]),
        True,
    ),
    Pair(
        "the order of deny",
        options(deny=["Bash(a)", "Edit"]),
        options(deny=["Edit", "Bash(a)"]),
        True,
    ),
    Pair("light that is off", Side(), options(light=False), True),
    Pair(
        "light, and what it means",
        options(light=True),
        options(light=True, permissions="read"),
        True,
    ),
    Pair("the order of tools", options(tools="Read,Grep"), options(tools="Grep,Read"), True),
    Pair(
        "an option of the task",
        options(model="opus"),
        Side({"model_col": "m"}, {"m": "opus"}),
        True,
    ),
    Pair(
        "an option of the session",
        Side({"permissions_col": "m"}, {"m": "read"}),
        options(permissions="read"),
        True,
    ),
    Pair("keys of a schema in another order", options(schema=SCHEMA), options(schema=TURNED), True),
    Pair(
        "fields of a schema in another order", options(schema=SCHEMA), options(schema=ORDERED), True
    ),
    Pair("a schema as types", options(schema=SCHEMA), options(schema={"a": int, "b": str}), False),
    Pair(
        "the order of variables",
        options(env={"A": "1", "B": "2"}),
        options(env={"B": "2", "A": "1"}),
        True,
    ),
    Pair("a name", options(name="x"), options(name="y"), True),
    Pair("how many at once", options(max_parallel=1), options(max_parallel=7), True),
    Pair("how nice it is", options(nice=1), Side(), True),
    Pair("how long it waits for a login", options(login_wait_s=5), Side(), True),
    Pair("the session's budget", options(budget_usd=1), options(budget_usd=2), True),
    Pair("whether they share a process", options(share_process=True), Side(), False),
    Pair("whether agents ask", options(ask=True), Side(), False),
    Pair("how long they wait", options(ask=True, ask_s=5), options(ask=True), True),
    Pair("whether one leads", options(warm_start=True), Side(), True),
    Pair("the model by a variable", Side(environ=MODEL), options(model="opus"), True),
    Pair(
        "a variable of the model that does not count",
        Side({"model": "sonnet"}),
        Side({"model": "sonnet"}, environ=MODEL),
        True,
    ),
    Pair("a variable that agents don't see as theirs", Side(), Side(environ={"LESS": "x"}), True),
]
OTHER = [
    Pair("another prompt", Side(), Side(prompt=f"Please: {ANSWER}"), False),
    Pair("light", options(light=True), Side(), False),
    Pair("another model", options(model="opus"), options(model="sonnet"), False),
    Pair("other permissions", Side(), options(permissions="read"), False),
    Pair("one rule more", options(allow=["Bash(a)"]), options(allow=["Bash(a)", "Bash(b)"]), False),
    Pair("other tools", Side(), options(tools="Read"), False),
    Pair("another schema", options(schema={"a": int}), options(schema={"a": float}), False),
    Pair("another effort", Side(), options(effort="low"), False),
    Pair(
        "the order of arguments",
        options(claude_args=["--debug", "x"]),
        options(claude_args=["x", "--debug"]),
        False,
    ),
    Pair(
        "another system prompt",
        options(system_prompt="Be brief."),
        options(system_prompt={"append": "Be brief."}),
        False,
    ),
    Pair("other subagents", Side(), options(agents=AGENTS), False),
    Pair("no servers at all", Side(), options(mcp_servers={}), False),
    Pair("another check", Side(), options(check="true"), False),
    Pair("another value of a variable", options(env={"A": "1"}), options(env={"A": "2"}), False),
    Pair("another variable", Side(), options(env={"A": "1"}), False),
    Pair(
        "another value of a task's variable",
        Side({"env_col": "e"}, {"e": {"A": "1"}}),
        Side({"env_col": "e"}, {"e": {"A": "2"}}),
        False,
    ),
    Pair("the model by a variable", Side(), Side(environ=MODEL), False),
    Pair(
        "another model by a variable",
        Side(environ={"ANTHROPIC_DEFAULT_OPUS_MODEL": "a"}),
        Side(environ={"ANTHROPIC_DEFAULT_OPUS_MODEL": "b"}),
        False,
    ),
    Pair("another folder", Side(before=lambda: Path("there").mkdir()), options(cwd="there"), False),
    Pair("another id", Side({"id_col": "i"}, {"i": "x"}), Side({"id_col": "i"}, {"i": "y"}), False),
]
PRINTED = [
    Pair("another CLI", Side(), Side(before=_other_cli), True, "another CLI"),
    Pair(
        "another version of the CLI",
        Side(before=_version("2.1.330")),
        Side(before=_version("2.1.332")),
        True,
        "the CLI changed since (2.1.330 → 2.1.332)",
    ),
    Pair(
        "a changed file in a folder without git",
        Side(before=_write("a.txt", "1")),
        Side(before=_write("a.txt", "2")),
        True,
        "a.txt",
    ),
    Pair(
        "a new file in a folder without git",
        Side(),
        Side(before=_write("b.txt", "2")),
        True,
        "b.txt",
    ),
    Pair(
        "a changed repository",
        Side(before=_commit("1")),
        Side(before=_commit("2")),
        True,
        "the repository changed since",
    ),
]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def asked(side: Side, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any]) -> Any:
    """Calls something with the frame and the options of a side, in its environment."""
    frame = pd.DataFrame({"do": [side.prompt], **{name: [v] for name, v in side.cells.items()}})
    side.before()
    with monkeypatch.context() as patch:
        for name, value in side.environ.items():
            patch.setenv(name, value)
        return call("{do}", frame, dict(side.options))


def _identities(template: str, frame: pd.DataFrame, options: dict[str, Any]) -> tuple[str, ...]:
    """The identities of the whole map, and of its one row."""
    planned = plan_map(template, frame, None, 1, options)
    return planned.identity, *planned.task_identities.values()


@pytest.mark.parametrize("pair", [*SAME, *OTHER], ids=lambda pair: pair.kind)
def test_a_pair(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, row = zip(
        asked(pair.one, monkeypatch, _identities),
        asked(pair.two, monkeypatch, _identities),
        strict=True,
    )
    assert ((whole[0] == whole[1]), (row[0] == row[1])) == (pair.same, pair.same)


_RUN = [
    pair
    for pair in [*SAME, *OTHER]
    if pair.kind
    in (
        "the order of allow",
        "an option of the task",
        "another model",
        "another value of a variable",
        "the model by a variable",
    )
]


@pytest.mark.parametrize("pair", [*_RUN, *PRINTED], ids=lambda pair: pair.kind)
def test_a_pair_that_runs(
    pair: Pair, stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CPR_CLAUDE", os.environ["CPR_CLAUDE"])  # what a pair changes comes back

    def run(template: str, frame: pd.DataFrame, options: dict[str, Any]) -> cpr.Session:
        return cpr.map(template, frame, reuse=True, **options).wait(LIMIT_S)

    first = asked(pair.one, monkeypatch, run)
    capsys.readouterr()
    second = asked(pair.two, monkeypatch, run)
    assert len(stub.calls()) == (1 if pair.same else 2)
    assert (second.results_df()["session_id"].item() == first.id) == pair.same
    printed = "".join(capsys.readouterr())
    assert pair.line in printed
    assert pair.line or not any(word in printed for word in ("since", "another"))


def test_a_default_that_is_spelled_out_is_the_default_of_the_runner() -> None:
    limits = {
        "attempts": session_spec.DEFAULT_ATTEMPTS,
        "first_byte_s": session_spec.FIRST_BYTE_S,
        "linger_s": session_spec.LINGER_S,
        "check_timeout_s": session_spec.CHECK_TIMEOUT_S,
        "setup_timeout_s": session_spec.SETUP_TIMEOUT_S,
    }
    assert dict(identity.DEFAULTS) == {"permissions": "edits", "base": "HEAD", **limits}


def test_the_options_that_do_not_count_are_of_sessions() -> None:
    """An option of tasks changes what a task does, so it counts; a new one does, too."""
    per_task = {option.name for option in OPTIONS.values() if option.per_task}
    assert not per_task & set(identity.IRRELEVANT)
    assert {*OPTIONS} - per_task - set(identity.IRRELEVANT) == {
        "worktree_dir",
        "share_process",
        "ask",
    }
