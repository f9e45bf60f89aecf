"""The advice on denied calls converges: who follows it is not denied the same again.

The shapes are tasks of one session; each retry allows what the advice for that task says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli

#: Shape → the command, and what the advice must say at first; no rules: the reason that is shown.
SHAPES: dict[str, tuple[str, list[str] | str]] = {
    "simple": ("nosuch -q", ["Bash(nosuch:*)"]),
    "after-cd": ("cd sub && nosuch -q 2>&1 | tail -5", ["Bash(nosuch:*)"]),
    "several": ("nosuch 'a, (b)' | tee x; nothere x", [
        "Bash(nosuch:*)", "Bash(tee:*)", "Bash(nothere:*)"]),
    "outside": ("nosuch -q > {outside}/x", ["Edit(/{outside}/**)"]),
    "wrapper": ("cat a.txt | xargs -n1 nosuch", ["Bash(xargs:*)"]),
    "loop": ("for f in a b; do nosuch $f; done", "can't be checked before it runs"),
    "lines": ("# run it\nnosuch -q\nnothere", ["Bash(nosuch:*)", "Bash(nothere:*)"]),
    "variable": ("FOO=1 nosuch -q", ["Bash(FOO=1 nosuch:*)"]),
    "subcommand": ("git -C sub push origin", ["Bash(git -C sub push:*)"]),
    "script": ("npm run build && uv run nosuch", [
        "Bash(npm run build:*)", "Bash(uv run nosuch:*)"]),
    "here-document": ("python3 <<'EOF'\nprint(1)\nEOF", ["Bash(python3:*)"]),
    "timed": ("timeout 5 nosuch -q > /dev/null", ["Bash(nosuch:*)"]),
    "path": ("./run.sh --all", ["Bash(./run.sh:*)"]),
    "elsewhere": ("cd {outside} && nosuch", ["Read(/{outside}/**)", "Bash(nosuch:*)"]),
    "nested": ("nosuch $(cat a.txt)", "can't be checked before it runs"),
    "subshell": ("(cd sub && nosuch)", "requires? approval for safety"),
}  # fmt: skip
QUICK = ["simple", "after-cd", "several", "outside", "wrapper", "loop"]


def step(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "run it"}}


def advice_by_task(session: cpr.Session) -> dict[str, list[dict[str, Any]]]:
    return {task.id: task.denials for task in session if task.fields.get("n_denials")}


def check_shapes(real_cpr: Cpr, outside: Path, names: list[str]) -> None:
    """Retries each shape with the advice for it until nothing changes: at most twice."""
    outside.mkdir()
    (real_cpr.cwd / "sub").mkdir()
    (real_cpr.cwd / "a.txt").write_text("a\n")
    (real_cpr.cwd / "run.sh").write_text("#!/bin/sh\n")
    commands = {name: SHAPES[name][0].replace("{outside}", str(outside)) for name in names}
    rules: dict[str, list[str]] = {name: [] for name in names}
    left = list(names)
    for n_retries in range(3):
        elements = [
            {"id": name, "prompt": script(step(commands[name]), {"text": "over"}),
             "allow": rules[name]}
            for name in left
        ]  # fmt: skip
        session = real_cpr.launch(prompts(*elements)).wait(LIMIT_S)
        denied = advice_by_task(session)
        assert all(task.ok for task in session)
        if n_retries == 0:
            assert sorted(denied) == sorted(names)
            check_advice(denied, outside)
        left = [name for name in denied if denied[name][0]["rules"]]
        for name in left:
            rules[name] += denied[name][0]["rules"]
        for name in denied.keys() - set(left):
            assert isinstance(SHAPES[name][1], str), (name, denied[name])
        if not left:
            return
    raise AssertionError(f"still denied after two retries: {denied}")


def check_advice(denied: dict[str, list[dict[str, Any]]], outside: Path) -> None:
    for name, (denial,) in denied.items():
        expected = SHAPES[name][1]
        if isinstance(expected, str):
            assert denial["rules"] == []
        else:
            assert denial["rules"] == [r.replace("{outside}", str(outside)) for r in expected]


def test_who_follows_the_advice_is_not_denied_again(real_cpr: Cpr, tmp_path: Path) -> None:
    check_shapes(real_cpr, tmp_path / "outside", QUICK)


@pytest.mark.slow
def test_the_advice_converges_for_every_shape(real_cpr: Cpr, tmp_path: Path) -> None:
    check_shapes(real_cpr, tmp_path / "outside", [name for name in SHAPES if name not in QUICK])


def test_refusals_show_their_reason_in_every_interface(real_cpr: Cpr) -> None:
    folder = real_cpr.cwd / ".claude"
    folder.mkdir()
    hook = {
        "type": "command",
        "command": "grep -q hooked && echo 'not on my watch' >&2 && exit 2 || exit 0",
    }
    settings = {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [hook]}]}}
    (folder / "settings.json").write_text(json.dumps(settings))
    real_cpr.good("trust", "--yes")
    prompt = script(step("rm hooked"), step("forbidden x"), step("sudo nosuch"), {"text": "over"})
    session = real_cpr.launch(
        prompts({"id": "one", "prompt": prompt}), "--deny", "Bash(forbidden:*)", "--fail-on-denied"
    ).wait(LIMIT_S)
    (task,) = session
    hooked, forbidden, wrapped = task.denials
    assert (hooked["rule"], hooked["rules"]) == (None, []) and "not on my watch" in hooked["reason"]
    assert forbidden["rules"] == [] and "forbidden x has been denied" in forbidden["reason"]
    assert wrapped["warnings"] == {"Bash(sudo:*)": "allows any command"}
    assert task.reason == "denied" and "not on my watch" in task.error
    df = session.denials_df()
    assert df.rule.dropna().tolist() == ["Bash(sudo:*)"] and len(df) == 3
    assert df.reason.str.contains("not on my watch|has been denied|allows any command").all()
    results, status = real_cpr.good("results", session.id), real_cpr.good("status", session.id)
    assert "[3 denied; to allow: --allow 'Bash(sudo:*)']" in results
    for text in (results, status):
        assert "Bash(sudo:*) allows any command." in text
        assert "No rule to advise. Bash: PreToolUse:Bash hook error" in text
    card = session._repr_html_()
    assert "not on my watch" in card and "Bash(sudo:*)" in card
