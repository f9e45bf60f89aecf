"""What a repository says to run, and the user's own settings: before a launch spends anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts

import cpr_nb as cpr
from cpr_nb.launching.repository_trust import Repository, stays_inside
from cpr_nb.model.options import ASKS, OPTIONS
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.spec_file import read_spec

ONE = prompts("a")
CHECK = "check = 'true #1'"


def write_table(work: Path, *lines: str) -> Path:
    path = work / "pyproject.toml"
    path.write_text("\n".join(["[tool.cpr]", *lines, ""]))
    return path


def write_own(stub_cpr: Cpr, *lines: str) -> Path:
    path = Path(stub_cpr.env["HOME"]) / ".config" / "cpr" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def launched(stub_cpr: Cpr, *flags: str) -> tuple[dict[str, Any], str]:
    """The options of a session, which has ended, and what the launch said on stderr."""
    done = stub_cpr("run", "--json", "--wait", *flags, stdin=ONE)
    assert done.returncode == 0, done.stderr
    spec = read_spec(SessionPaths(json.loads(done.stdout)["path"]))
    return spec["options"], done.stderr


def dry(stub_cpr: Cpr, *flags: str) -> str:
    """What a launch would say on stderr."""
    done = stub_cpr("run", "--dry-run", *flags, stdin=ONE)
    assert done.returncode == 0, done.stderr
    return done.stderr


# -- [tool.cpr] -------------------------------------------------------------------------------


def test_what_can_neither_run_nor_allow_anything_is_used(stub_cpr: Cpr, work: Path) -> None:
    write_table(work, "model = 'opus'", "deny = ['WebFetch']", "permissions = 'read'", "attempts=1")
    options, err = launched(stub_cpr)
    assert "🔒" not in err
    assert options.items() >= {"model": "opus", "deny": ["WebFetch"], "permissions": "read"}.items()


@pytest.mark.parametrize(
    "line",
    [
        "allow = ['Bash']",
        "tools = ['Read', 'WebFetch']",
        "add_dirs = ['/']",
        "safe_mode = true",
        "permissions = 'sandbox'",
    ],
)
def test_what_could_allow_something_is_left_out_and_said(
    stub_cpr: Cpr, work: Path, line: str
) -> None:
    path = write_table(work, "model = 'opus'", line)
    name = line.partition(" ")[0]
    options, err = launched(stub_cpr)
    assert f"🔒 not used until you trust it: {name} of {path} [tool.cpr]   (cpr trust)" in err
    assert name not in options and options["model"] == "opus"


def test_fewer_tools_than_usual_allow_nothing(stub_cpr: Cpr, work: Path) -> None:
    write_table(work, "tools = ['Read']")
    options, err = launched(stub_cpr)
    assert options["tools"] == ["Read"] and "🔒" not in err


ASKING = {
    "check": "check = 'touch marker'",
    "setup": "setup = 'touch marker'",
    "cwd": "cwd = '/'",
    "worktree_dir": "worktree_dir = '/tmp'",
    "results_dir": "results_dir = '../elsewhere'",
}


def test_every_option_that_asks_is_tried() -> None:
    asks = {option.name for option in OPTIONS.values() if option.from_repository == ASKS}
    assert asks == ASKING.keys() - {"results_dir"}


@pytest.mark.parametrize("name", ASKING)
def test_what_says_what_to_run_stops_a_launch_before_anything_is_spent(
    stub_cpr: Cpr, work: Path, name: str
) -> None:
    write_table(work, ASKING[name])
    done = stub_cpr("run", stdin=ONE)
    assert done.returncode == 2
    value = ASKING[name].partition(" = ")[2]
    assert f"\n    {name} = {value}\n" in done.stderr and "cpr trust" in done.stderr
    assert [path.name for path in work.iterdir()] == ["pyproject.toml"] and not (
        work.parent / "elsewhere"
    ).exists()


@pytest.mark.parametrize(
    "folder", ["link/r", "link", "../work/../x", ".git/r", "~/r", "/elsewhere/r"]
)
def test_results_are_not_led_out_of_the_repository(stub_cpr: Cpr, work: Path, folder: str) -> None:
    (work / ".git").mkdir()
    (work / "link").symlink_to(work / ".git")
    path = write_table(work, f"results_dir = '{folder}'")
    assert not stays_inside(str(path), folder)
    assert "results_dir = " in stub_cpr("run", stdin=ONE).stderr
    write_table(work, "results_dir = 'out/r'")
    launched(stub_cpr)
    assert (work / "out" / "r").is_dir()


def test_what_the_caller_says_needs_no_trust(
    stub_cpr: Cpr, work: Path, in_env: Callable[[dict[str, str]], None]
) -> None:
    write_table(work, "check = 'touch marker'", "cwd = '/'", "allow = ['Bash']")
    options, err = launched(stub_cpr, "--check", "true", "--cwd", ".", "--allow", "Read")
    assert (options["check"], options["allow"]) == ("true", ["Read"]) and "🔒" not in err
    in_env(stub_cpr.env)
    (row,) = cpr.launch(["a"], check=None, cwd=None, allow=["Read"], dry_run=True)
    assert "check" not in row and row["cwd"] == str(work)
    with pytest.raises(cpr.NotTrusted, match="check = 'touch marker'"):
        cpr.launch(["a"], cwd=".")


def test_a_retry_does_without_what_its_session_did_without(stub_cpr: Cpr, work: Path) -> None:
    session = stub_cpr.launch(ONE)
    session.wait(LIMIT_S)
    write_table(work, "check = 'touch marker'")
    stub_cpr.good("retry", session.id, "--all-tasks", "--wait")
    assert not (work / "marker").exists()


# -- cpr trust --------------------------------------------------------------------------------


def test_trust_shows_asks_and_remembers_until_something_changes(stub_cpr: Cpr, work: Path) -> None:
    write_table(work, CHECK, "model = 'opus'")
    refused = stub_cpr("trust")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert f"pyproject.toml [tool.cpr]   {CHECK}" in refused.stdout
    stub_cpr.good("trust", "--yes")
    assert launched(stub_cpr)[0]["check"] == "true #1"
    write_table(work, CHECK, "model = 'sonnet'")
    assert launched(stub_cpr)[0]["check"] == "true #1", "what needs no trust may change"
    write_table(work, CHECK.replace("1", "2"))
    assert stub_cpr("run", stdin=ONE).returncode == 2
    assert "changed since you trusted it" in stub_cpr("trust").stdout
    write_table(work, CHECK)
    stub_cpr.good("trust", "--forget")
    assert stub_cpr("run", stdin=ONE).returncode == 2


def test_the_same_table_elsewhere_is_not_trusted(stub_cpr: Cpr, work: Path) -> None:
    write_table(work, "check = './ci.sh'")
    stub_cpr.good("trust", "--yes")
    other = work.parent / "other"
    other.mkdir()
    write_table(other, "check = './ci.sh'")
    assert stub_cpr("run", stdin=ONE, cwd=other).returncode == 2


@pytest.mark.parametrize("answer", ["y\n", "\n"])
def test_at_a_terminal_a_launch_asks_on_the_spot(stub_cpr: Cpr, work: Path, answer: str) -> None:
    write_table(work, CHECK)
    (work / "p.json").write_text(ONE)
    with stub_cpr.on_terminal("run", "p.json") as terminal:
        terminal.read_until("[y/N]")
        assert not (work / "results").exists()
        os.write(terminal._master, answer.encode())
        code = terminal.finish()
    assert CHECK in terminal.text
    assert (code == 0) is (answer == "y\n") is (work / "results").exists()
    if code == 0:
        cpr.Session(next((work / "results").glob("session-*"))).wait(LIMIT_S)


def test_there_may_be_nothing_to_trust(stub_cpr: Cpr, work: Path) -> None:
    write_table(work, "model = 'opus'")
    assert "nothing that needs your trust" in stub_cpr.good("trust")
    assert stub_cpr("trust", "no-such-folder").returncode == 2


# -- the user's own settings ------------------------------------------------------------------


def test_the_users_own_settings_are_the_weakest(stub_cpr: Cpr, work: Path) -> None:
    write_own(stub_cpr, "model = 'haiku'", "effort = 'low'", "check = 'true'", "name = 'own'")
    write_table(work, "effort = 'high'", "name = 'repository'")
    options, err = launched(stub_cpr, "--name", "mine")
    assert options.items() >= {"model": "haiku", "effort": "high", "check": "true"}.items()
    assert "🔒" not in err


def test_a_repository_cannot_undo_what_the_users_own_settings_forbid(
    stub_cpr: Cpr, work: Path
) -> None:
    write_own(
        stub_cpr, "deny = ['WebFetch']", "budget_usd = 2", "permissions = 'read'", "tools = 'Read'"
    )
    write_table(
        work,
        "deny = ['WebSearch']",
        "budget_usd = 50",
        "permissions = 'edits'",
        "tools = ['Read', 'Bash']",
    )
    options, err = launched(stub_cpr)
    assert options["deny"] == ["WebFetch", "WebSearch"] and options["budget_usd"] == 2
    assert options["permissions"] == "read" and options["tools"] == ["Read"]
    assert "🔒 not used until you trust it: permissions, tools of" in err


def test_everything_may_stand_in_the_users_own_settings(stub_cpr: Cpr, work: Path) -> None:
    claude = stub_cpr.env["CPR_CLAUDE"]
    (work / "other").mkdir()
    write_own(
        stub_cpr,
        f"claude_path = '{claude}'",
        "results_dir = '~/r'",
        "permissions = 'all'",
        "env = {A = 'b'}",
    )
    env = {**stub_cpr.env}
    del env["CPR_CLAUDE"]
    mine = Cpr(work, env)
    options, _ = launched(mine)
    assert options["permissions"] == "all"
    sessions = Path(env["HOME"]) / "r"
    assert len(list(sessions.glob("session-*"))) == 1
    assert json.loads(mine.good("list", "--json"))[0]["state"] == "completed"
    doctor = mine.good("doctor")
    assert claude in doctor and "env = ['A']" in doctor and "'b'" not in doctor


@pytest.mark.parametrize(
    ("line", "words"),
    [("modle = 'x'", "unknown option 'modle'"), ("[", "is not TOML"), ("claude_path = 1", "text")],
)
def test_a_mistake_in_the_users_own_settings_is_named(
    stub_cpr: Cpr, work: Path, line: str, words: str
) -> None:
    path = write_own(stub_cpr, line)
    done = stub_cpr("run", stdin=ONE)
    assert done.returncode == 2 and words in done.stderr and str(path) in done.stderr
    assert not (work / "results").exists()


def test_the_doctor_says_what_comes_from_where(stub_cpr: Cpr, work: Path) -> None:
    write_own(stub_cpr, "model = 'haiku'")
    write_table(work, "effort = 'low'", "allow = ['Bash']")
    (work / ".mcp.json").write_text('{"mcpServers": {"db": {"command": "x"}}}')
    text = stub_cpr.good("doctor")
    assert "pyproject.toml [tool.cpr]: effort = 'low'" in text
    assert "allow = ['Bash']: needs your trust (cpr trust)" in text
    assert "config.toml: model = 'haiku'" in text
    assert f"🔒 1 MCP server of {work}: not used until you trust it" in text
    stub_cpr.good("trust", "--yes")
    assert "🔒" not in stub_cpr.good("doctor")


def test_a_hash_covers_all_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "r"
    (folder / ".claude").mkdir(parents=True)
    hashes = set()
    contents: list[tuple[str, str]] = [
        ("pyproject.toml", "[tool.cpr]\ncheck = 'a'\n"),
        ("pyproject.toml", "[tool.cpr]\ncheck = 'b'\n"),
        (".mcp.json", '{"mcpServers": {"a": {"command": "x"}}}'),
        (".claude/settings.json", '{"env": {"A": "1"}}'),
        (".claude/settings.json", '{"env": {"A": "2"}}'),
        (".claude/settings.local.json", '{"apiKeyHelper": "x"}'),
    ]
    for name, text in contents:
        (folder / name).write_text(text)
        repository = Repository(str(folder), os.environ)
        assert repository.lines()
        hashes.add(repository.sha256)
    assert len(hashes) == len(contents)
