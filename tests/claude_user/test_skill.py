"""``cpr skill install``, and the real CLI as user of the skill."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit.command import Cpr, prompts, script
from testkit.conversations import ask_claude
from testkit.recording import RecordingApi

import cpr_nb as cpr
from cpr_nb.cli.main import COMMANDS
from cpr_nb.cli.skill_file import skill_text


@pytest.fixture
def api() -> Iterator[RecordingApi]:
    with RecordingApi() as server:
        yield server


@pytest.fixture
def path(stub_env: dict[str, str]) -> Path:
    """Where the skill goes."""
    return Path(stub_env["CLAUDE_CONFIG_DIR"]) / "skills" / "cpr" / "SKILL.md"


def test_it_is_installed_once_and_kept_up_to_date(stub_cpr: Cpr, path: Path) -> None:
    would = stub_cpr.good("skill", "install", "--dry-run")
    assert f"{path}: would be written" in would and not path.exists()
    assert f"{path}: written" in stub_cpr.good("skill", "install")
    assert path.read_text() == skill_text() and path.stat().st_mode & 0o777 == 0o644
    before = path.stat()
    assert "is up to date" in stub_cpr.good("skill", "install")
    assert path.stat() == before
    assert list(path.parent.iterdir()) == [path]
    shown = json.loads(stub_cpr.good("skill", "install", "--json"))
    assert shown == {"path": str(path), "change": "unchanged", "dry_run": False}
    assert stub_cpr.good("skill", "show") == skill_text()


def test_what_somebody_edited_is_not_replaced(stub_cpr: Cpr, path: Path) -> None:
    stub_cpr.good("skill", "install")
    edited = path.read_text().replace("ten", "three")
    path.write_text(edited)
    refused = stub_cpr("skill", "install")
    assert refused.returncode == 2 and "--force replaces it" in refused.stderr
    assert path.read_text() == edited
    stub_cpr.good("skill", "install", "--force")
    assert path.read_text() == skill_text()
    path.unlink()
    path.symlink_to(path.parent / "elsewhere")
    assert stub_cpr("skill", "install").returncode == 2


def test_an_older_one_is_updated(
    stub_cpr: Cpr, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cpr_nb.cli import skill_file

    older = "---\nname: cpr\n---\nAs it was.\n"
    path.parent.mkdir(parents=True)
    mark = skill_text().splitlines()[-1].rpartition(": ")[0]
    path.write_text(f"{older}\n{mark}: {skill_file._sum_of(older)} -->\n")
    assert f"{path}: updated" in stub_cpr.good("skill", "install")
    assert path.read_text() == skill_text()


def test_a_project_has_it_at_its_top_and_through_no_link(
    stub_cpr: Cpr, path: Path, tmp_path: Path
) -> None:
    top = stub_cpr.cwd
    (top / ".git").mkdir()
    (top / "sub").mkdir()
    stub_cpr.good("skill", "install", "--project", cwd=top / "sub")
    own = top / ".claude" / "skills" / "cpr" / "SKILL.md"
    assert own.read_text() == skill_text() and not path.exists()
    own.unlink()
    own.parent.rmdir()
    for link in (own.parent, own.parent.parent):
        target = tmp_path / "target"
        target.mkdir(exist_ok=True)
        link.symlink_to(target)
        refused = stub_cpr("skill", "install", "--project")
        assert refused.returncode == 2 and "symbolic link" in refused.stderr
        link.unlink()
        if link.name == "cpr":
            link.parent.rmdir()
    assert not list(tmp_path.glob("target/*"))


def test_it_names_only_commands_and_options_that_there_are(stub_cpr: Cpr) -> None:
    """It is short, too: what Claude reads with it costs tokens each time."""
    text = skill_text()
    assert len(text) < 4000
    lines = [line.partition(" #")[0] for line in re.findall(r"^cpr .+$", text, re.MULTILINE)]
    lines += [f"cpr {words}" for words in re.findall(r"`cpr ([^`]+)`", text)]
    assert len(lines) >= 9
    for line in lines:
        words = line.split()
        if words[1] == "--help":
            continue
        assert words[1] in COMMANDS, line
        shown = stub_cpr.good(words[1], "--help")
        flags = [word for word in words if word.startswith("--")]
        assert [flag for flag in flags if f" {flag}" not in shown] == [], line


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "use cpr"}}


@pytest.mark.real_cli
def test_a_persons_claude_reads_the_skill_and_hands_work_over(
    real_cpr: Cpr, api: RecordingApi
) -> None:
    real_cpr.good("skill", "install")
    inner = [script({"text": f"answer {number}"}) for number in (1, 2)]
    (real_cpr.cwd / "prompts.json").write_text(
        prompts(*({"id": f"t{n}", "prompt": text} for n, text in enumerate(inner, 1)))
    )
    start = "cpr run prompts.json --name review --permissions read --budget-usd 5 --json"
    steps = (
        {"tool": "Skill", "input": {"skill": "cpr"}},
        bash(start),
        bash("cpr watch review"),
        bash("cpr results review --task t2"),
        {"text": "done"},
    )
    used = ("--allowedTools", "Skill", "Bash(cpr:*)")
    _, launched, watched, read = ask_claude(real_cpr, script(*steps), *used)
    assert api.texts("messages", "Hands long or wide work to cpr")  # it knows of the skill
    assert api.texts("messages", "An agent sees only its prompt")  # and has read it
    assert '"n_tasks": 2' in launched and '"session_id": ' in launched
    assert "completed: 2/2 succeeded" in watched
    assert "answer 2" in read and "answer 1" not in read
    session = cpr.attach("review", real_cpr.cwd / "results")
    assert session.head["n_succeeded"] == 2
    ran = [r for r in api.requests if r.last_user_text.endswith(tuple(inner))]
    assert len(ran) == 2  # the API's own log
