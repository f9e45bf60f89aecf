"""The tables, black-box: sessions that the command made, legacy sessions, broken ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.command import Cpr, prompts
from testkit.session_folders import write_session
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.frames.columns import CATEGORIES
from cpr_nb.frames.tables import TABLES

TESTS = Path(__file__).parents[1]
LEGACY = TESTS / "store" / "legacy-results"
RECORDINGS = TESTS / "model" / "recordings"
LIMIT_S = 120.0
EDIT = ["Edit", {"file_path": "a.py", "old_string": "x"}]
OF_TASKS = sorted(set(TABLES) - {"sessions_df"})


def every_table(results: Path) -> dict[str, pd.DataFrame]:
    return {name: getattr(cpr, name)(results, full=True) for name in TABLES}


def recorded(name: str) -> str:
    return (RECORDINGS / f"{name}.jsonl").read_text().rstrip("\n")


@pytest.fixture
def results(work: Path) -> Path:
    return work / "results"


@pytest.fixture
def session(stub_cpr: Cpr) -> cpr.Session:
    """Three tasks: one of each recording, one that fails."""
    session = stub_cpr.launch(
        prompts(
            {"id": "tools", "prompt": plan(raw=recorded("tools"), result=None)},
            {"id": "denied", "prompt": plan(raw=recorded("perm_default"), result=None)},
            {"id": "bad", "prompt": plan(result=None, exit=3, stderr="broke")},
        ),
        *("--name", "mine", "--attempts", "1"),
    )
    return session.wait(LIMIT_S)


@pytest.mark.parametrize("table", ["attach({!r}).tasks_df()", "tasks_df()"])
def test_a_table_is_a_command_though_nobody_imported_pandas(tmp_path: Path, table: str) -> None:
    session_id = write_session(tmp_path, {"a": []}).name.removeprefix("session-")
    code = f"import cpr_nb as cpr; print(cpr.{table.format(session_id)}.cpr.cancel())"
    env = {**os.environ, "CPR_RESULTS_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


# -- what the command made --------------------------------------------------------------------


def test_a_session_is_a_row_with_the_columns_that_are_asked_for(
    session: cpr.Session, results: Path
) -> None:
    df = cpr.sessions_df(results)
    names = "name state n_tasks n_pending n_running n_succeeded n_failed n_denials cost_usd "
    names += "duration_s created_at foreign session_id"
    assert df.columns.tolist() == names.split()
    [row] = df.to_dict("records")
    assert (row["session_id"], row["name"], row["state"]) == (session.id, "mine", "completed")
    assert (row["n_tasks"], row["n_succeeded"], row["n_failed"], row["n_denials"]) == (3, 2, 1, 4)
    assert row["cost_usd"] == pytest.approx(0.0088)
    assert abs(row["created_at"] - pd.Timestamp.now("UTC")) < pd.Timedelta(days=1)
    pd.testing.assert_frame_equal(session.sessions_df(), df)


def test_tasks_have_their_prompts_outcomes_and_figures(session: cpr.Session, results: Path) -> None:
    df = cpr.tasks_df(results).set_index("task_id")
    assert df.outcome.tolist() == ["succeeded", "succeeded", "failed"]
    assert df.ok.tolist() == [True, True, False]
    assert df.prompt.tolist() == [task.prompt for task in session]
    assert df.result["denied"] == "Done.\n" and df.n_denials["denied"] == 4
    assert df.cost_usd.isna().tolist() == [False, False, True], "nobody told what it cost"
    full = session.tasks_df(full=True).set_index("task_id")
    assert full.n_tool_calls.tolist() == [5, 5, 0] and full.exit_code["bad"] == 3
    assert full.output_bytes["tools"] == session.task("tools").stream_path.stat().st_size


def test_the_rows_are_those_of_the_json_of_the_command(session: cpr.Session, stub_cpr: Cpr) -> None:
    told = json.loads(stub_cpr.good("status", "--json", session.id))
    for row, task in zip(told["tasks"], _records(session.tasks_df(full=True)), strict=True):
        assert task == {**row, **{name: _moment(row[name]) for name in ("started_at", "ended_at")}}
    del told["tasks"]
    [row] = _records(session.sessions_df(full=True))
    times = ("created_at", "started_at", "ended_at", "waiting_until")
    assert row == {**told, **{name: _moment(told[name]) for name in times}}


def _records(df: pd.DataFrame) -> list[dict[str, Any]]:
    rows = df.astype("object").where(df.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _moment(iso: str | None) -> pd.Timestamp | None:
    return None if iso is None else pd.Timestamp(iso)


def test_a_tool_call_is_paired_with_its_result(session: cpr.Session) -> None:
    calls = session.tool_calls_df()
    assert calls.groupby("task_id").size().to_dict() == {"tools": 5, "denied": 5}
    denied = session.task("denied").tool_calls_df()
    assert denied.tool.tolist() == ["Bash", "Bash", "Write", "Write", "Bash"]
    assert denied.target.tolist()[:2] == ["ls -la", "touch made.txt"]
    assert denied.permission.tolist() == ["allowed", *["denied"] * 4]
    assert denied.is_error.tolist() == [False, *[True] * 4]
    assert denied.duration_s[0] == pytest.approx(0.084)
    assert (denied.ended_at - denied.started_at).dt.total_seconds().tolist() == pytest.approx(
        denied.duration_s.tolist()
    )
    assert json.loads(denied.input[1]) == {"command": "touch made.txt", "description": "x"}
    assert denied.output[0].startswith("total 8\n")


def test_denials_are_counted_by_the_rule_that_would_allow_them(
    session: cpr.Session, results: Path
) -> None:
    df = cpr.denials_df(results)
    folder = "/srv/cpr/w_perm_default"
    writes = [f"Edit(/{folder}/**)", "Edit(//srv/cpr/**)"]
    assert df.rule.tolist() == ["Bash(touch:*)", *writes, "Bash(python3:*)"]
    assert df.n.tolist() == [1, 1, 1, 1] and df.task_id.unique().tolist() == ["denied"]
    assert df.reason[3] == "This command requires approval; the rule allows any command"
    assert df.n.sum() == session.tasks_df().n_denials.sum()
    assert json.loads(df.input[1])["file_path"] == df.target[1]


def test_an_event_has_a_row_for_each_of_its_blocks(session: cpr.Session) -> None:
    df = session[0].events_df()
    assert df.seq.tolist() == list(range(1, len(df) + 1))
    assert set(df.attempt) == {1} and set(df.task_id) == {"tools"}
    said = df.subtype[df.type == "assistant"]
    assert said.value_counts().to_dict() == {"tool_use": 5, "text": 2}
    answered = df[df.subtype == "tool_result"]
    assert answered.tool.tolist() == df[df.subtype == "tool_use"].tool.tolist()
    assert df.text[df.type == "result"].tolist() == [session[0].text]
    assert df.model[df.type == "assistant"].tolist() == ["claude-opus-5-5"] * 7


def test_every_attempt_of_a_task_is_there(stub_cpr: Cpr, results: Path) -> None:
    write_session(results, {"docs": [recorded(n).encode() for n in ("sess_first", "sess_resume")]})
    assert cpr.events_df(results).attempt.unique().tolist() == [1, 2]


# -- dtypes -----------------------------------------------------------------------------------


def test_an_empty_table_has_the_dtypes_of_a_full_one(session: cpr.Session, results: Path) -> None:
    full, empty = every_table(results), every_table(results / "none")
    for name, table in TABLES.items():
        assert len(full[name]) and not len(empty[name]), name
        assert full[name].dtypes.to_dict() == empty[name].dtypes.to_dict(), name
        assert full[name].columns.tolist() == [column.name for column in table.columns]
        narrow = [column.name for column in table.columns if column.default]
        assert getattr(cpr, name)(results).columns.tolist() == narrow
        for column in table.columns:
            dtype = full[name][column.name].dtype
            if column.dtype in CATEGORIES:
                assert dtype == pd.CategoricalDtype(CATEGORIES[column.dtype], ordered=True)
            else:
                assert dtype == pd.api.types.pandas_dtype(column.dtype), column


def test_what_status_json_can_not_mean_is_missing(tmp_path: Path) -> None:
    folder = write_session(tmp_path, {"docs": [b""]}, name=["no", "name"], max_parallel="many")
    status = json.loads((folder / "status.json").read_text())
    strange = {"cost_usd": "much", "num_turns": 1 << 70, "model": "\ud800", "started_at": "once"}
    status["tasks"][0] |= strange | {"reason": 7, "exit_code": 1.5, "is_error": "yes"}
    (folder / "status.json").write_text(json.dumps(status))
    [task] = _records(cpr.tasks_df(tmp_path, full=True))
    assert task.pop("model") == "?"
    assert {task[name] for name in (set(strange) - {"model"}) | {"reason", "exit_code"}} == {None}
    [session] = _records(cpr.sessions_df(tmp_path, full=True))
    assert (session["name"], session["max_parallel"]) == (None, None)


# -- live, legacy, empty ------------------------------------------------------------------------


def test_a_live_session_is_in_every_table(stub_cpr: Cpr, stub: Stub, results: Path) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(
        prompts(
            {"id": "held", "prompt": plan(say="busy", tool=EDIT, here="held", gate="held")},
            "later",
        ),
        *("-j", "1"),
    )
    stub.await_here("held")
    session.wait_until(session[0].running, LIMIT_S, "the task")
    tables = every_table(results)
    assert tables["sessions_df"].state.tolist() == ["running"]
    tasks = tables["tasks_df"]
    assert tasks.state.tolist() == ["running", "pending"]
    assert tasks.outcome.isna().all() and tasks.ok.isna().all() and tasks.cost_usd.isna().all()
    _, said, called = tables["events_df"].text
    assert said == "busy" and json.loads(called) == EDIT[1]
    [call] = _records(tables["tool_calls_df"])
    assert (call["tool"], call["target"], call["ended_at"]) == ("Edit", "a.py", None)
    assert call["is_error"] is None and call["duration_s"] is None
    stub.release("held")
    session.wait(LIMIT_S)
    assert session.tasks_df().state.tolist() == ["ended"] * 2
    assert cpr.usage_df(results).cost_usd.tolist() == [0.25, 0.25]


def test_legacy_sessions_are_in_the_tables() -> None:
    tables = every_table(LEGACY)
    sessions, tasks = tables["sessions_df"], tables["tasks_df"]
    assert sessions.state.tolist() == ["completed"] * 2 and sessions.n_failed.tolist() == [1, 0]
    assert sessions.cost_usd.isna().all() and sessions.created_at.notna().all()
    assert tasks.outcome.tolist().count("succeeded") == 5 and len(tasks) == 6
    assert tasks.result.notna().all() and tasks.cost_usd.isna().all()
    for name in ("events_df", "tool_calls_df", "denials_df", "usage_df"):
        assert tables[name].empty
    with_handle = cpr.attach("58f2", LEGACY).tasks_df()
    assert with_handle.task_id.tolist()[2] == "docs-task"


# -- filters ----------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Sessions of today, of two days ago, and of a time that nobody knows."""
    now = datetime.now(UTC)
    plain = [recorded("plain").encode()]
    for number, name, created in (
        (3, "review-auth", now),
        (2, "review-docs", now - timedelta(days=2)),
        (1, "other", None),
    ):
        created_at = {"created_at": created.isoformat()} if created else {"start_time": None}
        write_session(tmp_path, {"docs": plain}, number=number, name=name, **created_at)
    return tmp_path


def names(results: Path, **filters: Any) -> list[str]:
    return sorted(cpr.sessions_df(results, **filters).name)


@pytest.mark.parametrize(
    "since",
    [
        timedelta(days=1),
        "1d",
        "1.5 days",
        "24h",
        "90 min",
        datetime.now() - timedelta(hours=12),  # noqa: DTZ005
        datetime.now(UTC) - timedelta(hours=12),
        (datetime.now(UTC) - timedelta(hours=12)).isoformat(),
    ],
    ids=range(8),
)
def test_since_is_a_moment_or_how_long_ago(three: Path, since: Any) -> None:
    assert names(three, since=since) == ["review-auth"]
    assert cpr.tasks_df(three, since=since).session_id.nunique() == 1


def test_a_date_is_its_beginning_here(three: Path) -> None:
    ago = datetime.now() - timedelta(days=3)  # noqa: DTZ005
    assert names(three, since=ago.date().isoformat()) == ["review-auth", "review-docs"]


def test_name_is_a_name_or_a_pattern(three: Path) -> None:
    assert names(three, name="other") == ["other"]
    assert names(three, name="review-*") == ["review-auth", "review-docs"]
    assert names(three, name="nobody") == []


def test_states_are_of_sessions_there_and_of_tasks_elsewhere(session: cpr.Session) -> None:
    results = session.path.parent
    assert len(cpr.sessions_df(results, states="completed")) == 1
    assert cpr.sessions_df(results, states=["running", "waiting"]).empty
    assert cpr.tasks_df(results, states="failed").task_id.tolist() == ["bad"]
    assert len(session.tasks_df(states=("failed", "succeeded"))) == 3
    assert len(session.tasks_df(states="ended")) == 3
    assert session.tool_calls_df(states="failed").empty


@pytest.mark.parametrize("since", ["yesterday", "", "5", 5, "2 fortnights", float("nan")])
def test_an_impossible_since_is_refused(since: Any, tmp_path: Path) -> None:
    with pytest.raises(cpr.InputError, match=r"since: .* is neither a moment"):
        cpr.tasks_df(tmp_path, since=since)


def test_an_unknown_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        cpr.InputError, match="states: done: must be among planned, starting, running"
    ):
        cpr.sessions_df(tmp_path, states="done")
    with pytest.raises(cpr.InputError, match="states: completed: must be among pending"):
        cpr.tasks_df(tmp_path, states=["completed", "failed"])


# -- what can't be read -----------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A session with a line that is no event, one without a status.json, a good one."""
    plain = recorded("plain").encode()
    write_session(tmp_path, {"docs": [b"Warning: slow\n" + plain + b"\n[1]\n"]}, number=3)
    (write_session(tmp_path, {"docs": [plain]}, number=2) / "status.json").unlink()
    write_session(tmp_path, {"docs": [plain]}, number=1)
    return tmp_path


def test_sessions_that_can_not_be_read_have_a_row_that_says_so(broken: Path) -> None:
    assert cpr.sessions_df(broken).state.tolist() == ["completed", "completed", "unreadable"]
    df, [error] = cpr.sessions_df(broken, strict=False)
    assert len(df) == 3 and error.problem == "no status.json" and error.task_id is None


@pytest.mark.parametrize("name", OF_TASKS)
def test_what_can_not_be_read_is_an_error_unless_it_may_be_left_out(
    name: str, broken: Path
) -> None:
    with pytest.raises(cpr.SessionNotUsable, match=r"can't read .*strict=False leaves it out"):
        getattr(cpr, name)(broken)
    df, errors = getattr(cpr, name)(broken, strict=False)
    without = ("denials_df", "tool_calls_df")  # it called none
    assert set(df.session_id.str[-1]) <= {"1", "3"} and (name in without or len(df))
    told = {error.problem for error in errors}
    lines = set() if name == "tasks_df" else {"line 1 and 1 more: no event"}
    assert told == {"no status.json", *lines}


SESSION = "00000000-0000-4000-8000-00000000000{}"


@pytest.mark.parametrize("name", [name for name in OF_TASKS if name != "tasks_df"])
def test_lines_of_a_wrapper_are_one_warning(name: str, tmp_path: Path) -> None:
    plain = recorded("plain").encode()
    for number in (1, 2, 3):
        write_session(tmp_path, {"docs": [b"Loading...\n" + plain + b"bye"]}, number=number)
    session = cpr.attach(SESSION.format(3), tmp_path)
    for table, n_files in ((partial(getattr(cpr, name), tmp_path), 3), (getattr(session, name), 1)):
        with pytest.warns(UserWarning, match=r"task-docs.jsonl: line 1: no event") as caught:
            df = table()
        more = f" (and {n_files - 1} more)" if n_files > 1 else ""
        assert str(caught[0].message).endswith(f"no event{more}; strict=False returns them")
        assert len(caught) == 1 and caught[0].filename == __file__
        whole, problems = table(strict=False)
        assert df.equals(whole) and len(problems) == n_files


def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    folder = write_session(tmp_path, {"docs": [recorded("plain").encode()]})
    (folder / "task-docs.jsonl").unlink()
    (folder / "task-docs.jsonl").mkdir()
    with pytest.raises(cpr.SessionNotUsable, match=r"task-docs.jsonl"):
        cpr.usage_df(tmp_path)


def test_a_last_line_that_is_still_being_written_is_no_error(tmp_path: Path) -> None:
    plain = recorded("plain").encode()
    folder = write_session(tmp_path, {"docs": [plain]})
    for length in range(0, len(plain), 97):
        (folder / "task-docs.jsonl").write_bytes(plain[:length])
        for name in OF_TASKS:
            getattr(cpr, name)(tmp_path, full=True)
    (folder / "task-docs.jsonl").write_bytes(plain[:-1])
    assert len(cpr.events_df(tmp_path)) == len(plain.splitlines()) - 1


def test_a_stream_that_is_none_does_not_keep_us(tmp_path: Path) -> None:
    folder = write_session(tmp_path, {"docs": [b""]})
    (folder / "task-docs.jsonl").unlink()
    (folder / "task-docs.jsonl").mkdir()
    df, [error] = cpr.attach("0000", tmp_path).events_df(strict=False)
    assert df.empty and error.path.endswith("task-docs.jsonl")
    (folder / "task-docs.jsonl").rmdir()
    assert cpr.events_df(tmp_path).empty, "an attempt that never came so far"
