"""What the command shows of a session whose tasks run on nodes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from testkit.command import Cpr
from testkit.node_entries import add_nodes, node, silent
from testkit.session_folders import RUNNING, write_session

import cpr_nb as cpr
from cpr_nb.display.cards import session_card
from cpr_nb.display.session_model import SessionModel
from cpr_nb.frames.arrays import CATEGORIES
from cpr_nb.frames.tables import TABLES_OF_A_SESSION
from cpr_nb.store.files import hold_lock

GB = 10**9
A = node(
    "node-a",
    n_running=1,
    claude_version="2.1.332 (Claude Code)",
    claude_path="/opt/claude",
    login=True,
    git_version="2.39.5",
    free_memory_bytes=12 * GB,
    clock_offset_s=0.01,
)
B = node("node-b", "no_login", claude_version="2.1.20", login=False, clock_offset_s=-95.04)


@pytest.fixture
def live(results: Path) -> Iterator[cpr.Session]:
    """Two running tasks, one on a node that works and one on a silent one; nobody is logged in."""
    folder = write_session(results, {"one": [b""], "two": [b""]}, state=RUNNING, n_running=2)
    nodes = [silent("node-c", 1, login=True, free_memory_bytes=GB // 100), A, B]
    add_nodes(folder, *nodes, tasks={"one": "node-a", "two": "node-c"})
    fd = hold_lock(str(folder / "runner.lock"))
    (folder / "runner.json").write_text(json.dumps({"claude_version": "2.1.332"}))
    yield cpr.Session(folder)
    os.close(fd)


def test_status_says_where_each_task_runs(stub_cpr: Cpr, live: cpr.Session) -> None:
    said = stub_cpr.good("status", live.id)
    assert "Task 1 (ID: one): running on node-a\n" in said
    assert re.search(
        r"\nNodes: 3 nodes   ● node-a 1 of 2 busy   ⚠ node-b is not logged in, takes no tasks   "
        r"⚠ node-c silent for \d:\d\d · its task moves to other nodes in \d:\d\d unless it ans",
        said,
    )


def test_list_counts_them(stub_cpr: Cpr, live: cpr.Session) -> None:
    assert "0/2 tasks (0 successful) - 3 nodes - ⚠ 1 silent" in stub_cpr.good("list")


@pytest.mark.parametrize("columns", [120, 70])
def test_watch_shows_them(stub_cpr: Cpr, live: cpr.Session, columns: int) -> None:
    with stub_cpr.on_terminal("watch", live.id, columns=columns, rows=24) as terminal:
        terminal.read_until("unless it answers")
        terminal.read_until("USD est.")
        terminal.read_until("silent")
        text = terminal.text
    assert "● node-a 1 of 2 busy" in text and "⚠ node-c is sil" in text
    assert ("Node" in text) is (columns > 90), "a narrow terminal has no column for it"


def test_nodes_lists_them(stub_cpr: Cpr, live: cpr.Session) -> None:
    first, second, third = stub_cpr.good("nodes", live.id).splitlines()
    assert first == (
        "● node-a  live, 1 of 2 busy, on node-a.example, Claude Code 2.1.332 (Claude Code)"
    )
    assert second.startswith("⚠ node-b  is not logged in, takes no tasks, on node-b.exam")
    assert re.match(r"⚠ node-c  silent for \d:\d\d · its task moves", third)
    rows = json.loads(stub_cpr.good("nodes", live.id, "--json"))
    assert [row["name"] for row in rows] == ["node-a", "node-b", "node-c"]
    assert (rows[0]["slots"], rows[1]["n_running"], rows[2]["login"]) == (2, None, True)


def test_without_a_runner_they_are_what_it_last_knew(stub_cpr: Cpr, results: Path) -> None:
    folder = write_session(results, {"one": [b""]}, state=RUNNING)
    add_nodes(folder, A, B, tasks={"one": "node-a"})
    (folder / "runner.lock").touch()
    first, second, _ = stub_cpr.good("nodes", cpr.Session(folder).id).splitlines()
    assert first == "The session is interrupted. What its runner last knew:"
    assert second.startswith("● node-a  live, ")
    assert "Nodes:" not in stub_cpr.good("status", cpr.Session(folder).id)
    done = stub_cpr("doctor", "--nodes", cpr.Session(folder).id)
    assert done.returncode == 1 and "interrupted; what its runner last knew" in done.stdout


def test_a_session_without_nodes_says_so(stub_cpr: Cpr, results: Path) -> None:
    folder = write_session(results, {"one": [b""]})
    session = cpr.Session(folder)
    assert "has no nodes: its tasks run beside its runner" in stub_cpr.good("nodes", session.id)
    spec = {"executor": "slurm", "tasks": []}
    (folder / "session.json").write_text(json.dumps(spec))
    assert "No node has joined" in stub_cpr.good("nodes", session.id)
    status = stub_cpr.good("status", session.id)
    assert "Nodes" not in status and "running on" not in status


def test_doctor_says_what_each_node_lacks(stub_cpr: Cpr, live: cpr.Session) -> None:
    done = stub_cpr("doctor", "--nodes", live.id)
    assert done.returncode == 1, "two of three lack something"
    first, second, third = done.stdout.splitlines()
    assert re.fullmatch(
        r"✓ node-a +Claude Code 2.1.332, /opt/claude; logged in; git 2.39.5; 12.0 GB free; "
        r"clock as here",
        first,
    )
    assert second.startswith("✕ node-b")
    for words in (
        "Claude Code 2.1.20: cpr_nb needs 2.1.29 or newer",
        "; not logged in, takes no tasks; ",
        "clock 95.0 s behind the runner's",
    ):
        assert words in second
    assert "✕ node-c" in third and "silent for" in third and "0.0 GB free" in third
    findings = json.loads(stub_cpr("doctor", "--json", "--nodes", live.id).stdout)
    assert [finding["good"] for finding in findings] == [True, False, False]


def test_doctor_of_a_session_without_nodes_says_so(stub_cpr: Cpr, results: Path) -> None:
    session = cpr.Session(write_session(results, {"one": [b""]}))
    done = stub_cpr("doctor", "--nodes", session.id)
    assert done.returncode == 1 and "its tasks run beside its runner" in done.stdout


def test_the_tables_have_them(live: cpr.Session, results: Path) -> None:
    frame = live.nodes_df()
    assert frame["name"].tolist() == ["node-a", "node-b", "node-c"]
    assert frame["state"].tolist() == ["live", "no_login", "silent"]
    assert frame["clock_offset_s"].tolist()[:2] == [0.01, -95.04]
    assert frame["login"].isna().tolist() == [False, False, False]
    assert frame["free_memory_bytes"].isna().tolist() == [False, True, False]
    assert (frame["moves_at"] > frame["silent_at"]).tolist() == [False, False, True]
    assert cpr.tasks_df(results, full=True)["node"].tolist() == ["node-a", "node-c"]


def test_an_empty_table_of_nodes_has_the_dtypes_of_a_full_one(
    live: cpr.Session, results: Path
) -> None:
    full = live.nodes_df()
    empty = cpr.Session(write_session(results, {"one": [b""]}, number=2)).nodes_df()
    assert len(full) and not len(empty)
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    for column in TABLES_OF_A_SESSION["nodes_df"].columns:
        named = CATEGORIES.get(column.dtype)
        dtype = pd.CategoricalDtype(named, ordered=True) if named else column.dtype
        assert full[column.name].dtype == dtype, column


def test_the_card_and_the_report_have_them(live: cpr.Session, results: Path) -> None:
    model = SessionModel(str(live.path))
    model.refresh()
    card = session_card(model)
    assert "its task moves to other nodes in" in card
    assert '<span class="ok">●</span>\n node-a' in card
    page = live.report().html
    assert "3 nodes; node-a, node-b, node-c" in page and "on node-c" in page
    shared = live.report(redact=True).html
    assert "3 nodes" in shared and "node-a" not in shared and "on node" not in shared


@pytest.fixture
def results(work: Path, stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]) -> Path:
    """The results directory of the command, and of this process."""
    in_env(stub_env)
    return work / "results"
