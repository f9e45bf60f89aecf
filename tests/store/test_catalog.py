"""Where sessions are, which there are, and which one is meant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.model.errors import (
    AmbiguousSession,
    InputError,
    ResultsDirError,
    SessionNotFound,
)
from cpr_nb.store.catalog import find_session, list_sessions, results_dir
from cpr_nb.store.settings_files import repository_table

LEGACY = Path(__file__).parent / "legacy-results"
ALL_GOOD = "58f2a8e6-135c-0d34-8ae6-f30afe254fb0"
ONE_FAILED = "eb0e8f55-b5b4-5144-08dc-d144fc4f1590"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, in which we are: what lies outside of it must not matter."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CPR_RESULTS_DIR", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "pyproject.toml").write_text("")  # ends the search upwards
    folder = tmp_path / "repo"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def put(results: Path, session_id: str, **head: Any) -> Path:
    """A session of ours that has ended."""
    folder = results / f"session-{session_id}"
    folder.mkdir(parents=True)
    status = {"schema_version": 1, "overall_status": "completed", "start_time": 5, **head}
    (folder / "status.json").write_text(json.dumps({**status, "tasks": []}))
    return folder


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)


# -- where they are ---------------------------------------------------------------------------


def test_what_is_given_goes_before_everything(repo: Path) -> None:
    configure(repo, '[tool.cpr]\nresults_dir = "configured"')
    put(repo / "results", "1")
    assert results_dir("given", {"CPR_RESULTS_DIR": "/env"}) == str(repo / "given")
    assert results_dir(Path("/given"), {"CPR_RESULTS_DIR": "/env"}) == "/given"
    assert results_dir("../x/./y", {}) == str(repo.parent / "x" / "y")
    assert results_dir("~/r", {}) == str(repo.parent / "home" / "r")


def test_then_the_environment(repo: Path) -> None:
    configure(repo, '[tool.cpr]\nresults_dir = "configured"')
    assert results_dir(None, {"CPR_RESULTS_DIR": "/env"}) == "/env"
    assert results_dir("", {"CPR_RESULTS_DIR": "relative"}) == str(repo / "relative")
    assert results_dir(None, {"CPR_RESULTS_DIR": "~/r"}) == str(repo.parent / "home" / "r")


def test_only_the_environment_that_is_given_counts(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPR_RESULTS_DIR", "/env")
    assert results_dir(None, {}) == str(repo / "results")
    assert results_dir(None, os.environ) == "/env"


def test_then_the_nearest_pyproject_relative_to_itself(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(repo, '[tool.cpr]\nresults_dir = "../common/r"')
    put(repo / "notebooks" / "results", "1")
    monkeypatch.chdir(repo / "notebooks")
    assert results_dir(None, {"CPR_RESULTS_DIR": ""}) == str(repo.parent / "common" / "r")
    configure(repo, '[tool.cpr]\nresults_dir = "/absolute"')
    assert results_dir(None, {}) == "/absolute"
    configure(repo, '[tool.cpr]\nresults_dir = "~/r"')
    assert results_dir(None, {}) == str(repo.parent / "home" / "r")


def test_a_nearer_pyproject_hides_the_one_above(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(repo, '[tool.cpr]\nresults_dir = "above"')
    package = repo / "package"
    package.mkdir()
    configure(package, "[project]\nname = 'x'  # nothing of ours")
    monkeypatch.chdir(package)
    assert results_dir(None, {}) == str(package / "results")


def test_then_the_nearest_results_that_hold_a_session(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a notebook in `notebooks/` and a terminal at the root share their sessions."""
    deep = repo / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert results_dir(None, {}) == str(deep / "results"), "there is none yet"
    (deep / "results" / "mine").mkdir(parents=True)
    put(repo / "results", "1")
    assert results_dir(None, {}) == str(repo / "results"), "the near one holds no session"
    put(repo / "a" / "results", "2")
    assert results_dir(None, {}) == str(repo / "a" / "results")


def test_the_search_ends_at_the_repositorys_root(repo: Path) -> None:
    put(repo.parent / "results", "1")
    assert results_dir(None, {}) == str(repo / "results")


def test_a_worktrees_git_file_is_a_root_too(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(repo / "results", "1")
    tree = repo / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: /elsewhere")
    monkeypatch.chdir(tree)
    assert results_dir(None, {}) == str(tree / "results")


def test_the_search_ends_at_home(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = repo.parent / "home"
    (home / "notes").mkdir()
    monkeypatch.chdir(home / "notes")
    put(repo.parent / "results", "1")
    assert results_dir(None, {}) == str(home / "notes" / "results")
    put(home / "results", "2")
    assert results_dir(None, {}) == str(home / "results"), "home itself is looked at"


def test_a_home_by_another_name_ends_the_search_too(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = repo.parent / "home"
    (repo.parent / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(repo.parent / "link"))
    monkeypatch.chdir(home)
    put(repo.parent / "results", "1")
    assert results_dir(None, {}) == str(home / "results")


def test_results_that_cannot_be_looked_at_are_no_results(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "a" / "results").mkdir(parents=True)
    (repo / "a" / "results" / "session-file").write_text("no folder")
    (repo / "a" / "b").mkdir()
    (repo / "a" / "b" / "results").write_text("no folder")
    put(repo / "results", "1")
    monkeypatch.chdir(repo / "a" / "b")
    assert results_dir(None, {}) == str(repo / "results")
    (repo / "a" / "b" / "results").unlink()
    (repo / "a" / "b" / "results").symlink_to("results")
    assert results_dir(None, {}) == str(repo / "results")


# -- [tool.cpr] -------------------------------------------------------------------------------


def settings(folder: str) -> dict[str, Any]:
    return repository_table(folder)[1]


def test_settings_are_the_table_and_the_path_of_its_file(repo: Path) -> None:
    configure(repo, '[tool.cpr]\nresults_dir = "r"\nmax_parallel = 3\nallow = ["Read"]')
    (repo / "sub").mkdir()
    table = {"results_dir": "r", "max_parallel": 3, "allow": ["Read"]}
    assert repository_table(str(repo / "sub")) == (str(repo / "pyproject.toml"), table)


@pytest.mark.parametrize(
    "text",
    ["", "# tool.cpr", "[tool.other]\nx = 1", "[tool.cprx]\nx = 1", "this is no TOML at all"],
)
def test_without_a_table_of_ours_there_are_no_settings(repo: Path, text: str) -> None:
    configure(repo, text)
    assert settings(str(repo)) == {}


@pytest.mark.parametrize(
    "text",
    [
        '[tool]\ncpr = {max_parallel = 3}',
        '[tool]\ncpr.max_parallel = 3',
        '[ tool . cpr ]\nmax_parallel = 3',
        '["tool"."cpr"]\nmax_parallel = 3',
        '[tool.cpr]\r\nmax_parallel = 3\r\n',
    ],
)  # fmt: skip
def test_a_table_is_found_however_toml_may_write_it(repo: Path, text: str) -> None:
    (repo / "pyproject.toml").write_bytes(text.encode())
    assert settings(str(repo)) == {"max_parallel": 3}


@pytest.mark.parametrize(
    "text",
    [
        "[tool.cpr",
        "[tool.cpr]\nx = ",
        'tool = "cpr"  # tool.cpr',
        'tool.cpr = "x"',
        "tool.cpr = []",
        "[[tool.cpr]]\nx = 1",
        "[tool.cpr]\nresults_dir = 3",
        "[tool.cpr]\nresults_dir = ['r']",
        "[tool.cpr]\nx = " + "[" * 100_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_a_table_that_is_none_is_refused_and_its_file_named(repo: Path, text: str) -> None:
    configure(repo, text)
    with pytest.raises(InputError) as caught:
        settings(str(repo))
    assert caught.value.where == str(repo / "pyproject.toml")


def test_a_pyproject_that_is_no_text_is_refused(repo: Path) -> None:
    (repo / "pyproject.toml").write_bytes(b"[tool.cpr]\nx = '\xff'")
    with pytest.raises(InputError):
        settings(str(repo))


# -- which there are --------------------------------------------------------------------------


def test_the_legacy_sessions_are_listed_the_newest_first() -> None:
    sessions = list_sessions(str(LEGACY))
    assert [session.session_id for session in sessions] == [ONE_FAILED, ALL_GOOD]
    assert [(s.count("total"), s.count("successful")) for s in sessions] == [(3, 2), (3, 3)]
    assert all(session.tasks is None for session in sessions)


def test_sessions_of_one_second_have_an_order_too(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        put(tmp_path, name)
    put(tmp_path, "d", start_time=4)
    put(tmp_path, "e", start_time="tomorrow")
    assert [s.session_id for s in list_sessions(str(tmp_path))] == ["c", "b", "a", "d", "e"]


def test_sessions_of_one_second_are_ordered_by_what_is_known_better(tmp_path: Path) -> None:
    put(tmp_path, "b", created_at="2026-01-01T00:00:00.250Z")
    put(tmp_path, "a", created_at="2026-01-01T00:00:00.500Z")
    put(tmp_path, "c", created_at=["odd"], start_time=4)
    assert [s.session_id for s in list_sessions(str(tmp_path))] == ["a", "b", "c"]


def test_a_directory_that_is_not_there_or_is_a_file_has_no_sessions(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert list_sessions(str(tmp_path / "gone")) == []
    assert list_sessions(str(tmp_path / "file")) == []
    assert list_sessions(str(tmp_path)) == []


def test_only_folders_with_a_sessions_name_are_listed(tmp_path: Path) -> None:
    put(tmp_path, "1")
    (tmp_path / "session-file").write_text("")
    (tmp_path / "session-gone").symlink_to(tmp_path / "nowhere")
    for name in (".new-session-2", "other", "sessions", "Session-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "session-stranger").mkdir()
    found = {session.session_id: session.state for session in list_sessions(str(tmp_path))}
    assert found == {"1": "completed", "stranger": "unreadable"}


def test_a_link_that_leads_in_a_circle_hides_no_session(tmp_path: Path) -> None:
    put(tmp_path, "1")
    (tmp_path / "session-loop").symlink_to("session-loop")
    assert [session.session_id for session in list_sessions(str(tmp_path))] == ["1"]
    assert find_session(str(tmp_path), "1") == f"{tmp_path}/session-1"


def test_a_directory_that_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to("r")
    with pytest.raises(ResultsDirError, match=f"can't read the results directory {tmp_path}/r"):
        list_sessions(str(tmp_path / "r"))


# -- which one is meant -----------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> str:
    for session_id in ("abcd1111", "abcd2222", "abce3333", "ab"):
        put(tmp_path, session_id, name=f"run {session_id[-1]}")
    put(tmp_path, "eeee5555", name="twice")
    put(tmp_path, "ffff6666", name="twice")
    put(tmp_path, "77778888", name="abcd1111")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "session_id"),
    [
        ("abcd1111", "abcd1111"),
        ("session-abcd1111", "abcd1111"),
        ("abcd1", "abcd1111"),
        ("abce", "abce3333"),
        ("session-abce", "abce3333"),
        ("ab", "ab"),
        ("run 2", "abcd2222"),
    ],
)
def test_a_session_is_found_by_its_id_a_prefix_or_its_name(
    results: str, wanted: str, session_id: str
) -> None:
    assert find_session(results, wanted) == f"{results}/session-{session_id}"


def test_a_session_is_found_by_its_folder(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wanted in (f"{results}/session-ab", f"{results}/session-ab/", "./session-ab"):
        assert find_session("/nowhere", wanted) == f"{results}/session-ab"


@pytest.mark.parametrize("wanted", ["/session-ab", "./session-gone", "/tmp", "x/session-\0"])
def test_a_folder_that_is_no_session_is_not_found(results: str, wanted: str) -> None:
    with pytest.raises(SessionNotFound):
        find_session(results, wanted)


def test_an_id_goes_before_a_name(results: str) -> None:
    assert find_session(results, "abcd1111") == f"{results}/session-abcd1111"


def test_a_prefix_of_several_is_refused_with_the_candidates(results: str) -> None:
    with pytest.raises(
        AmbiguousSession, match="'abcd' matches 2 sessions: abcd1111, abcd2222"
    ) as e:
        find_session(results, "abcd")
    assert e.value.candidates == ("abcd1111", "abcd2222")


def test_a_name_of_several_is_refused_with_the_candidates(results: str) -> None:
    with pytest.raises(AmbiguousSession) as caught:
        find_session(results, "twice")
    assert caught.value.candidates == ("eeee5555", "ffff6666")


def test_of_very_many_candidates_the_message_names_a_few_and_the_error_has_all(
    tmp_path: Path,
) -> None:
    ids = [f"abcd{number:04}" for number in range(20)]
    for session_id in ids:
        put(tmp_path, session_id)
    with pytest.raises(AmbiguousSession, match=r"matches 20 sessions: .*, …$") as caught:
        find_session(str(tmp_path), "abcd")
    assert list(caught.value.candidates) == ids
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("wanted", ["abc", "a"])
def test_a_prefix_that_is_too_short_names_no_session(results: str, wanted: str) -> None:
    with pytest.raises(SessionNotFound, match="a prefix needs 4 characters"):
        find_session(results, wanted)


@pytest.mark.parametrize(
    "wanted", ["", "nope", "session-", "bcd1111", "ABCD1111", "run", "..", "/", "../x", "a\0b", "*"]
)
def test_what_fits_nothing_is_not_found(results: str, wanted: str) -> None:
    with pytest.raises(SessionNotFound, match="not found or no status available") as caught:
        find_session(results, wanted)
    assert "prefix" not in str(caught.value) or len(wanted) < 4


def test_the_scripts_words_for_a_session_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound, match=r"^Session nope not found or no status available"):
        find_session(str(tmp_path), "nope")


def test_a_session_whose_name_begins_like_a_folder_is_found(tmp_path: Path) -> None:
    put(tmp_path, "12345678", name="session-nightly")
    assert find_session(str(tmp_path), "session-nightly") == f"{tmp_path}/session-12345678"


def test_a_session_with_an_odd_name_hides_no_other(tmp_path: Path) -> None:
    for session_id, name in (("11111111", None), ("22222222", ["x"]), ("33333333", "x")):
        put(tmp_path, session_id, name=name)
    (tmp_path / "session-44444444").mkdir()
    assert find_session(str(tmp_path), "x") == f"{tmp_path}/session-33333333"
