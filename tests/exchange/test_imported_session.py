"""A session that ran in another tool, as every interface here shows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S, Cpr, prompts

import cpr_nb as cpr
from cpr_nb.exchange.imported_session import (
    ImportedSession,
    ImportedTask,
    fit_task_id,
    session_id_of,
    write_imported,
)
from cpr_nb.model.spec import check_task_id

UUID = "11111111-2222-5333-8444-555555555555"
ANSWER = {"type": "text", "text": "Two bugs."}
CALL = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "ls"}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "a.py"}


def message(*blocks: Any) -> dict[str, Any]:
    content = {"id": "m1", "role": "assistant", "model": "claude-x", "content": list(blocks)}
    return {"type": "assistant", "message": content, "timestamp": "2026-05-01T10:00:01.000Z"}


def imported(digest: str = "d1", **more: Any) -> ImportedSession:
    user = {"type": "user", "message": {"role": "user", "content": [RESULT]}}
    tasks = [
        ImportedTask(
            "good",
            "Review a.py",
            "succeeded",
            "completed",
            [message(CALL), user, message(ANSWER)],
            answer="Two bugs.",
            started_at_s=1777629600.0,
            ended_at_s=1777629605.5,
            duration_s=5.5,
            figures={"cost_usd": 0.25, "input_tokens": 10, "model": "claude-x"},
        ),
        ImportedTask("bad", "Review b.py", "failed", "api_error", [], error="it was away"),
    ]
    return ImportedSession(
        UUID, "inspect", digest, "review", 1777629600.0, more.pop("tasks", tasks), **more
    )


def test_every_table_shows_it(tmp_path: Path) -> None:
    root, is_new = write_imported(str(tmp_path), imported())
    session = cpr.Session(root)
    assert is_new and session.state == "imported" and session.name == "review"
    tasks = session.tasks_df().set_index("task_id")
    assert tasks["outcome"].tolist() == ["succeeded", "failed"]
    assert tasks.loc["good", "cost_usd"] == 0.25 and tasks["cost_usd"].isna().tolist() == [
        False,
        True,
    ]
    assert session.results_df()["result"].tolist()[0] == "Two bugs."
    assert session.tool_calls_df()[["tool", "output"]].values.tolist() == [["Bash", "a.py"]]
    row = cpr.sessions_df(tmp_path).iloc[0]
    assert (row["state"], row["n_succeeded"], row["n_failed"]) == ("imported", 1, 1)
    assert row["duration_s"] == 5.5
    assert session[0].text == "Two bugs." and session[1].error == "it was away"


def test_unknown_times_are_missing(tmp_path: Path) -> None:
    root, _ = write_imported(str(tmp_path), imported(tasks=list(imported().tasks)[1:]))
    row, tasks = cpr.sessions_df(tmp_path).iloc[0], cpr.Session(root).tasks_df(full=True)
    assert pd.isna(row["duration_s"]) and pd.isna(row["cost_usd"])
    assert pd.isna(tasks["duration_s"][0]) and pd.isna(tasks["ended_at"][0])


def test_the_terminal_shows_it(tmp_path: Path) -> None:
    write_imported(str(tmp_path), imported())
    cpr_command = Cpr(tmp_path, {**os.environ, "CPR_RESULTS_DIR": str(tmp_path)})
    for command in (["list"], ["status", UUID[:8]], ["overview"]):
        assert "imported" in cpr_command.good(*command).lower()
    assert "Two bugs." in cpr_command.good("results", UUID[:8])


@pytest.mark.parametrize("verb", ["retry", "resume"])
def test_nothing_of_it_runs(tmp_path: Path, verb: str) -> None:
    session = cpr.Session(write_imported(str(tmp_path), imported())[0])
    with pytest.raises(cpr.SessionNotUsable, match=f"can't {verb} .* ran in another tool"):
        getattr(session, verb)()
    with pytest.raises(cpr.SessionNotUsable, match="ran in another tool"):
        session.resume(skipped=True)
    assert len(list(tmp_path.glob("session-*"))) == 1


def test_its_name_takes_no_own_session_away(stub_cpr: Cpr) -> None:
    own = stub_cpr.launch(prompts("a"), "--name", "review").wait(LIMIT_S)
    write_imported(str(own.path.parent), imported())
    assert own.id in stub_cpr.good("status", "review")
    assert UUID in stub_cpr.good("status", UUID[:8])


def test_the_same_content_is_imported_once(tmp_path: Path) -> None:
    assert write_imported(str(tmp_path), imported())[1] is True
    assert write_imported(str(tmp_path), imported())[1] is False
    assert write_imported(str(tmp_path), imported("d2", tasks=[]))[1] is True
    (folder,) = tmp_path.glob("session-*")
    assert cpr.Session(folder).tasks_df().empty


def test_a_log_that_can_not_be_read_leaves_nothing(tmp_path: Path) -> None:
    def cut_off() -> Any:
        yield ImportedTask("a", "", "succeeded", "completed", [])
        raise cpr.InputError("the log ends in the middle", "log")

    with pytest.raises(cpr.InputError, match="ends in the middle"):
        write_imported(str(tmp_path), imported(tasks=cut_off()))
    with pytest.raises(cpr.InputError, match="can't be an id"):
        write_imported(
            str(tmp_path),
            imported(tasks=[ImportedTask("../x", "", "succeeded", "completed", [])]),
        )
    assert not [p for p in tmp_path.iterdir() if "session" in p.name]


def test_ids_of_other_tools_become_ids() -> None:
    used: set[str] = set()
    names = ["a b", "a/b", "..", "", "x.lock", "é" * 200, "a..b", "-a.", "a" * 300, "a" * 300]
    for name in names:
        check_task_id(fit_task_id(name, used), "id")
    assert len(used) == len(names)


def test_whoever_imports_the_same_log_first_wins(tmp_path: Path) -> None:
    def tasks() -> Any:
        yield next(iter(imported().tasks))
        assert write_imported(str(tmp_path), imported())[1]  # another process, in the meantime

    assert not write_imported(str(tmp_path), imported(tasks=tasks()))[1]
    session = cpr.Session(tmp_path / f"session-{UUID}")
    assert len(session) == 2 and len(session.tool_calls_df()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"session-{UUID}"]


def test_two_versions_of_a_log_at_once_leave_one_of_them_whole(tmp_path: Path) -> None:
    def tasks() -> Any:
        yield next(iter(imported().tasks))
        write_imported(str(tmp_path), imported("d2"))

    write_imported(str(tmp_path), imported("d1"))
    assert write_imported(str(tmp_path), imported("d3", tasks=tasks()))[1]
    session = cpr.Session(tmp_path / f"session-{UUID}")
    assert len(session) == 1 and len(session.tool_calls_df()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"session-{UUID}"]


def test_what_a_killed_import_leaves_is_removed(tmp_path: Path) -> None:
    killed = f"""
import os, signal
from exchange.test_imported_session import imported
from cpr_nb.exchange.imported_session import write_imported
def tasks():
    yield from imported().tasks
    os.kill(os.getpid(), signal.SIGKILL)
write_imported({str(tmp_path)!r}, imported(tasks=tasks()))
"""
    tests = str(Path(__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": tests}
    command = [sys.executable, "-c", killed]
    ran = subprocess.run(command, env=environ, timeout=60, check=False, capture_output=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert len(list(tmp_path.glob(".new-*"))) == 1
    assert write_imported(str(tmp_path), imported())[1]
    (folder,) = tmp_path.iterdir()
    assert len(cpr.Session(folder)) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("no/such.eval", "can't be read: No such file", id="missing"),
        pytest.param("a\0b", "can't be read: embedded null byte", id="NUL"),
        pytest.param("talk.jsonl", "of a transcript of Claude Code, name the folder", id="talk"),
    ],
)
def test_what_can_not_be_imported_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "talk.jsonl").write_text("{}\n")
    with pytest.raises(cpr.InputError, match=words):
        cpr.import_sessions(f"{tmp_path}/{name}", tmp_path / "results")


def test_names_of_other_tools_are_one_line(tmp_path: Path) -> None:
    root, _ = write_imported(str(tmp_path), imported()._replace(name="a\nb\x1b[31m" * 50))
    name = cpr.Session(root).name or ""
    assert name.isprintable() and len(name) <= 100
    assert session_id_of("atif", "\ud800") == session_id_of("atif", "?")  # half a character
