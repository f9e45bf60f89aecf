"""A session.json with a wrong type in it: one line says where, and nothing runs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.store.key import own_key
from cpr_nb.store.seal import sealed

#: Where, a wrong value, and what is said of it.
WRONG: list[tuple[list[str | int], Any, str]] = [
    (["cwd"], 5, "cwd is 5, not a text"),
    (["env_names"], "A", "env_names is 'A', not a list of texts"),
    (["env_names"], [1], "env_names is [1], not a list of texts"),
    (["max_parallel"], True, "max_parallel is True, not a whole number from 0"),
    (["login_wait_s"], "1h", "login_wait_s is '1h', not a number above 0"),
    (["own_environment"], "no", "own_environment is 'no', not true or false"),
    (["warnings"], "w", "warnings is 'w', not a list of texts"),
    (["options"], [], "options is [], not an object"),
    (["options", "attempts"], None, "options.attempts is None, not a whole number from 1"),
    (["options", "nice"], 20, "options.nice is 20, not a whole number from 0 to 19"),
    (["options", "timeout_s"], "60", "options.timeout_s is '60', not a number above 0"),
    (["options", "permissions"], "root", "options.permissions is 'root', not one of read"),
    (["options", "schema"], "s", "options.schema is 's', not an object"),
    (["options", "allow"], "Bash", "options.allow is 'Bash', not a list of texts"),
    (["tasks"], {"a": 1}, "is incomplete"),
    (["tasks", 0], "a", "is incomplete"),
    (["tasks", 0, "id"], 5, "tasks[0].id is 5, not a text"),
    (["tasks", 1, "prompt"], [], "tasks[1].prompt is [], not a text"),
    (["tasks", 1, "options"], 5, "tasks[1].options is 5, not an object"),
    (["tasks", 1, "options", "max_turns"], 1.5, "tasks[1].options.max_turns is 1.5, not a whole"),
    (["tasks", 0, "row"], "1", "tasks[0].row is '1', not a whole number from 0"),
    (["tasks", 0, "parent"], {"session_id": 5}, "tasks[0].parent.session_id is 5, not a text"),
    (["tasks", 0, "checkout"], {"base": "a"}, "tasks[0].checkout.current_branch is None"),
    (["tasks", 0, "factors"], ["a"], "tasks[0].factors is ['a'], not an object"),
]


@pytest.fixture
def cut_off(stub_cpr: Cpr, stub: Stub, token: str) -> cpr.Session:
    """A session whose runner and agent were killed."""
    stub.fifos("a")
    session = stub_cpr.launch(prompts({"id": "a", "prompt": plan(here="a", gate="a")}, "b"))
    stub.await_here("a")
    for pid in processes.survivors(token):
        processes.end(pid)
    return session


def with_value(spec: dict[str, Any], where: list[str | int], value: Any) -> bytes:
    """The session.json with another value somewhere, sealed by the user's own key."""
    spec = copy.deepcopy({name: spec[name] for name in spec if name != "seal"})
    place: Any = spec
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    tasks = spec.pop("tasks")
    lines = ",\n".join(map(json.dumps, tasks)) if isinstance(tasks, list) else ""
    body = f"[\n{lines}\n]" if isinstance(tasks, list) else json.dumps(tasks)
    return sealed(f'{json.dumps(spec)[:-1]},\n"tasks":{body},\n'.encode(), own_key())


def test_nothing_runs_and_the_line_says_where(
    stub_cpr: Cpr, stub: Stub, cut_off: cpr.Session, in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_cpr.env)
    spec = json.loads((cut_off.path / "session.json").read_bytes())
    before = {path.name: path.read_bytes() for path in cut_off.path.iterdir() if path.is_file()}
    calls = stub.calls()
    for where, value, words in WRONG:
        changed = with_value(spec, where, value)
        (cut_off.path / "session.json").write_bytes(changed)
        session = cpr.Session(cut_off.path)
        for act in (session.resume, session.cancel, session.retry):
            with pytest.raises(cpr.SessionNotUsable) as caught:
                act()
            assert words in str(caught.value) and "\n" not in str(caught.value), (where, value)
        after = {path.name: path.read_bytes() for path in session.path.iterdir() if path.is_file()}
        assert after == {**before, "session.json": changed}
        assert (session.state, len(session.tasks_df()), len(session.results_df())) == (
            "interrupted", 2, 2,
        )  # fmt: skip
        assert repr(session) and all(
            task.prompt and task.activity().n_tool_calls == 0 for task in session
        )
    assert stub.calls() == calls


def test_skipped_tasks_are_not_run_either(
    stub_cpr: Cpr, in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_cpr.env)
    session = stub_cpr.launch(prompts("a"), "--budget-usd", "5").wait(LIMIT_S)
    spec = json.loads((session.path / "session.json").read_bytes())
    status = json.loads((session.path / "status.json").read_bytes())
    (session.path / "status.json").write_text(json.dumps({**status, "n_skipped": 1}))
    for where, value, words in WRONG_FOR_SKIPPED:
        (session.path / "session.json").write_bytes(with_value(spec, where, value))
        with pytest.raises(cpr.SessionNotUsable, match=words):
            cpr.Session(session.path).resume(skipped=True)


WRONG_FOR_SKIPPED: list[tuple[list[str | int], Any, str]] = [
    (["options"], [], "options is"),
    (["options", "budget_usd"], "5", "options.budget_usd is '5', not a number"),
]


def test_a_command_says_it_in_one_line_and_shows_the_session(
    stub_cpr: Cpr, cut_off: cpr.Session
) -> None:
    spec = json.loads((cut_off.path / "session.json").read_bytes())
    (cut_off.path / "session.json").write_bytes(with_value(spec, ["options", "timeout_s"], "60"))
    for name in ("resume", "cancel", "retry"):
        done = stub_cpr(name, cut_off.id)
        assert (done.returncode, done.stdout) == (2, "")
        assert "session.json: options.timeout_s is '60'" in done.stderr
        assert done.stderr.count("\n") == 1
    for name in ("status", "results", "list"):
        assert "interrupted" in stub_cpr.good(name, *([cut_off.id] if name != "list" else []))
