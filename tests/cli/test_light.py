"""The light form of tasks: what can't be combined with it, and how it is told."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import plan

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.launching.combinations import check_combination
from cpr_nb.model.errors import InputError
from cpr_nb.model.light import in_effect

CRITIC = {"critic": {"description": "finds faults", "prompt": "Be strict."}}
NEEDS_MORE: dict[str, Any] = {
    "tools": ["Read"],
    "allow": ["WebFetch"],
    "add_dirs": ["."],
    "worktree": True,
    "agents": CRITIC,
    "mcp_servers": {"db": {"command": "db"}},
    "permissions": "edits",
    "claude_args": ["--append-system-prompt=x"],
}


@pytest.mark.parametrize("name", NEEDS_MORE)
def test_what_needs_tools_or_files_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"prompts\[0\]: {name}.*can't be combined with light"):
        check_combination({"light": True, name: NEEDS_MORE[name]}, {}, "prompts[0]")
    check_combination({"light": False, name: NEEDS_MORE[name]}, {}, "prompts[0]")


def test_what_adds_to_a_prompt_that_is_not_there_is_refused(stub_cpr: Cpr) -> None:
    task = {"prompt": "p", "light": True, "system_prompt": {"append": "x"}}
    done = stub_cpr("run", stdin=prompts(task))
    assert done.returncode == 2 and "give it as a text, without append" in done.stderr
    assert not (stub_cpr.cwd / "results").exists()


def test_what_names_nothing_and_what_forbids_is_not_refused() -> None:
    options = {"tools": [], "allow": [], "mcp_servers": {}, "permissions": "read", "deny": ["A"]}
    check_combination({"light": True, **options, "system_prompt": "Label."}, {}, "prompts[0]")


def test_an_edited_session_brings_a_light_task_no_tools() -> None:
    options = in_effect({"light": True, **NEEDS_MORE})
    assert options["tools"] == [] and options["permissions"] == "read"
    assert not {"allow", "agents", "add_dirs", "mcp_servers"} & options.keys()


def test_a_launch_and_the_tables_say_that_tasks_are_light(stub_cpr: Cpr) -> None:
    shown = stub_cpr.good("run", "--wait", "--light", stdin=prompts("p"))
    assert "at once, light: no tools, no files, and no CLAUDE.md" in shown
    text = prompts({"prompt": "p", "id": "a"}, {"prompt": "q", "id": "b", "light": False})
    printed = stub_cpr.good("run", "--wait", "--light", stdin=text)
    assert "; light, without tools: 1 of them" in printed
    session = stub_cpr.launch(text, "--light").wait(LIMIT_S)
    assert session.head["permissions"] == "read"
    assert list(session.tasks_df(full=True)["light"]) == [True, False]


@pytest.fixture
def frame() -> pd.DataFrame:
    said = plan(result={"result": "A"})
    return pd.DataFrame({"do": [said, said], "slow": [True, False]}, index=["x", "y"])


def test_results_say_which_answers_are_light(
    in_env: Any, stub_env: dict[str, str], frame: pd.DataFrame
) -> None:
    in_env(stub_env)
    plain = cpr.map("{do}", frame).wait(LIMIT_S).results_df()
    assert "light" not in plain.columns
    out = cpr.map("{do}", frame, light_col="slow").wait(LIMIT_S).results_df()
    assert out["light"].tolist() == [True, False] and str(out["light"].dtype) == "boolean"
    assert list(out.columns)[-1] == "light"
    varied = cpr.map("{do}", frame[:1], vary={"light": [True, False]}).wait(LIMIT_S)
    assert [str(light) for light in varied.results_df()["light"]] == ["True", "False"]


def test_the_column_is_not_an_input_of_what_follows(
    in_env: Any, stub_env: dict[str, str], frame: pd.DataFrame
) -> None:
    in_env(stub_env)
    out = cpr.map("{do}", frame, light=True).wait(LIMIT_S).results_df()
    again = out.cpr.retry().wait(LIMIT_S).results_df()
    assert again["light"].tolist() == [True, True] and list(again.columns) == list(out.columns)


def test_a_frame_with_such_a_column_is_refused(
    in_env: Any, stub_env: dict[str, str], frame: pd.DataFrame
) -> None:
    in_env(stub_env)
    frame["light"] = 1
    with pytest.raises(InputError, match="the results have a column 'light' of their own"):
        cpr.map("{do}", frame, light=True)
    out = cpr.map("{do}", frame).wait(LIMIT_S).results_df()
    assert out["light"].tolist() == [1, 1]
