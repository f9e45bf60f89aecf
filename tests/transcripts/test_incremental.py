"""The second look reads only what is new, and says the same as a first look would."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from testkit.transcript_lines import TranscriptWriter, call

import cpr_nb as cpr

from .conftest import Write


def looks_like_a_first_look(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an index that grew says is what one says that is made now."""
    grown = cpr.transcripts(projects)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(projects.parent / "another cache"))
        first = cpr.transcripts(projects)
    keys = {"df": "conversation_id", "messages_df": "message_id", "tool_calls_df": "tool_use_id"}
    for name, key in keys.items():
        options = {} if name == "messages_df" else {"full": True}
        tables = [getattr(seen, name)(**options) for seen in (grown, first)]
        expected, table = (t.sort_values(key).reset_index(drop=True) for t in reversed(tables))
        assert_frame_equal(table, expected)


def begin(write: Write) -> TranscriptWriter:
    main = write("s1")
    main.user("Do it.")
    main.answer("m1", {"type": "text", "text": "Reading."}, output=1)
    return main


def test_nothing_is_read_when_nothing_is_new(write: Write, projects: Path) -> None:
    main = begin(write)
    assert cpr.transcripts(projects).n_read_bytes == main.path.stat().st_size
    seen = cpr.transcripts(projects)
    assert seen.n_read_bytes == 0
    assert seen.messages_df().message_id.tolist() == ["m1"]


def test_only_what_is_new_is_read(
    write: Write, projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, other = begin(write), write("s2")
    other.user("Something else.")
    seen = cpr.transcripts(projects)
    size = main.path.stat().st_size
    main.answer("m1", call("c1", "Bash", command="ls"), output=30)
    main.result("c1", "no such folder", is_error=True)
    main.answer("m2", output=2)
    assert seen.refresh().n_read_bytes == main.path.stat().st_size - size
    assert seen.messages_df().set_index("message_id").output_tokens.to_dict() == {"m1": 30, "m2": 2}
    (one,) = seen.tool_calls_df().itertuples()
    assert (one.target, one.is_error, one.error) == ("ls", True, "no such folder")
    looks_like_a_first_look(projects, monkeypatch)


def test_a_result_is_found_for_a_call_that_was_read_before(
    write: Write, projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = begin(write)
    main.answer("m1", call("c1"))
    assert cpr.transcripts(projects).tool_calls_df().ended_at.isna().all()
    main.result("c1", permissionDecision={"decision": "reject"})
    (one,) = cpr.transcripts(projects).tool_calls_df().itertuples()
    assert (one.permission, one.is_error, one.duration_s) == ("denied", False, 1.0)
    looks_like_a_first_look(projects, monkeypatch)


def test_a_rewind_changes_lines_that_were_read_before(
    write: Write, projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = begin(write)
    assert cpr.transcripts(projects).messages_df().is_current_branch.all()
    main.rewind(main.lines[0])
    main.answer("m2")
    flags = cpr.transcripts(projects).messages_df().set_index("message_id").is_current_branch
    assert flags.to_dict() == {"m1": False, "m2": True}
    looks_like_a_first_look(projects, monkeypatch)


@pytest.mark.parametrize("change", ["replaced", "rewritten", "shortened", "deleted"])
def test_a_file_that_is_another_one_now(
    write: Write, projects: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    main, other = begin(write), write("s2")
    other.answer("m9", output=9)
    cpr.transcripts(projects)
    if change == "deleted":
        main.path.unlink()
    else:
        text = main.path.read_text().replace('"m1"', '"m7"')
        if change == "replaced":
            new = main.path.with_suffix(".new")
            new.write_text(text + text)
            new.replace(main.path)
        elif change == "rewritten":  # the same file, longer, with other lines
            main.path.write_text(text.replace("Reading.", "Reading all of it.") + text)
        else:
            main.path.write_text(text.splitlines()[0] + "\n")
    ids = cpr.transcripts(projects).messages_df().message_id.tolist()
    assert sorted(ids) == (["m7", "m9"] if change in ("replaced", "rewritten") else ["m9"])
    looks_like_a_first_look(projects, monkeypatch)


def test_an_answer_stays_in_its_conversation_when_that_goes_on(
    write: Write, projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, copy = begin(write), write("s2")
    copy.copy_from(main)  # as a version does that does not say whose copy it is
    before = cpr.transcripts(projects).messages_df().conversation_id.tolist()
    main.answer("m2")
    after = cpr.transcripts(projects).messages_df().set_index("message_id").conversation_id
    assert [after["m1"]] == before == ["s1"]
    looks_like_a_first_look(projects, monkeypatch)


def test_a_line_counts_once_it_is_whole(write: Write, projects: Path) -> None:
    main = begin(write)
    whole = main.path.read_bytes()
    main.answer("m2", output=8)
    after = main.path.read_bytes()
    main.path.write_bytes(after[:-20])  # as a writer leaves it in the middle of a write
    seen = cpr.transcripts(projects)
    assert seen.messages_df().message_id.tolist() == ["m1"]
    assert seen.n_read_bytes == len(whole)
    assert seen.df(full=True).n_unreadable.isna().all()
    main.path.write_bytes(after[:-1])  # whole, but its newline is missing
    assert seen.refresh().messages_df().message_id.tolist() == ["m1", "m2"]
    main.path.write_bytes(after)
    main.answer("m3")
    assert seen.refresh().messages_df().message_id.tolist() == ["m1", "m2", "m3"]
    assert seen.df(full=True).n_unreadable.isna().all()


@pytest.mark.parametrize("damage", ["torn", "foreign", "not writable"])
def test_an_index_that_cannot_be_used(
    write: Write, projects: Path, own_cache: Path, damage: str
) -> None:
    main = begin(write)
    cpr.transcripts(projects)
    (file,) = own_cache.glob("cpr_nb/*/transcripts-*")
    if damage == "torn":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "foreign":
        file.write_bytes(b"something else")
    else:
        file.unlink()
        file.mkdir()
    main.answer("m2")
    assert cpr.transcripts(projects).messages_df().message_id.tolist() == ["m1", "m2"]


def test_the_index_holds_no_texts_and_is_the_users_alone(
    write: Write, projects: Path, own_cache: Path
) -> None:
    main = write("s1")
    main.user("x" * 300 + " secret-of-a-prompt")
    main.answer("m1", {"type": "text", "text": "secret-of-an-answer"}, call("c1", content="secret"))
    main.result("c1", "secret-of-a-result")
    cpr.transcripts(projects)
    (file,) = own_cache.glob("cpr_nb/*/transcripts-*")
    assert b"secret" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_to_the_folder(write: Write, projects: Path) -> None:
    begin(write)

    def state() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in projects.rglob("*"))

    before = state()
    seen = cpr.transcripts(projects)
    assert len(seen.events_df()) == 2
    assert state() == before
    assert isinstance(seen.df(), pd.DataFrame)
