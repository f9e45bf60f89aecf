"""Whatever lies in the folder: no line hides the others, and no link leads out of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.transcript_lines import call

import cpr_nb as cpr

from .conftest import Write

ODD_LINES = [
    b"not json",
    b"[1, 2]",
    b'{"type": 5}',
    b'{"type": "assistant", "message": {"id": 7, "usage": []}, "uuid": 3}',
    b'{"type": "assistant", "message": "text", "uuid": "u"}',
    b'{"type": "user", "message": {"content": [1, {"type": "tool_result", "tool_use_id": 4}]}}',
    b'{"type": "user", "uuid": "\\ud800", "message": {"content": "\\ud800"}}',
    b'{"type": "assistant", "uuid": "short", "parentUuid": "loop", "timestamp": "never"}',
    b"\xff\xfe\x00",
    b"{" * 5000,
]


@pytest.mark.parametrize("number", range(len(ODD_LINES)))
def test_an_odd_line_hides_no_other(write: Write, projects: Path, number: int) -> None:
    main = write("s1")
    main.user("Do it.")
    main.answer("m1", output=5)
    with main.path.open("ab") as file:
        file.write(ODD_LINES[number] + b"\n")
    main.answer("m2", call("c1"), output=6)
    seen = cpr.transcripts(projects)
    assert seen.messages_df().output_tokens.sum() == 11
    assert seen.messages_df().is_current_branch.all()
    assert len(seen.tool_calls_df()) == 1
    assert {"m1", "m2"} == set(seen.messages_df().message_id)
    assert (seen.events_df().type == "assistant").sum() >= 2
    assert len(seen.df()) == 1


def test_numbers_that_are_none_are_missing(write: Write, projects: Path) -> None:
    main = write("s1")
    odd = {"input_tokens": "many", "cache_read_input_tokens": 1e300}
    main.answer("m1", usage=odd, output=3)
    main.answer("m2", output=-1, usage={"cache_creation_input_tokens": 1 << 70})
    messages = cpr.transcripts(projects).messages_df().set_index("message_id")
    assert messages.loc["m1", ["input_tokens", "cache_read_tokens"]].isna().all()
    assert messages.output_tokens["m1"] == 3
    assert messages.cost_usd.isna().all()


def test_links_and_other_files_are_left_alone(write: Write, projects: Path, tmp_path: Path) -> None:
    main = write("s1")
    main.answer("m1")
    outside = tmp_path / "outside.jsonl"
    outside.write_text(json.dumps({**main.lines[0], "sessionId": "outside"}) + "\n")
    (projects / "link.jsonl").symlink_to(outside)
    (projects / "circle").symlink_to(projects)
    os.mkfifo(projects / "pipe.jsonl")
    (projects / "folder.jsonl").mkdir()
    (projects / "notes.jsonl").write_text('{"type": "note"}\n')
    (projects / "empty.jsonl").touch()
    locked = projects / "locked.jsonl"
    locked.write_text("x\n")
    locked.chmod(0)
    assert cpr.transcripts_df(projects).conversation_id.tolist() == ["s1"]


def test_a_link_to_the_folder_itself_is_followed(write: Write, projects: Path) -> None:
    write("s1").answer("m1")
    link = projects.parent / "link"
    link.symlink_to(projects)
    assert cpr.transcripts(link).folder == str(projects.resolve())


def test_an_empty_folder_has_tables_of_the_same_form(write: Write, projects: Path) -> None:
    empty = cpr.transcripts(projects)
    names = ["df", "messages_df", "usage_df", "tool_calls_df", "events_df"]
    dtypes = [getattr(empty, name)().dtypes.to_dict() for name in names]
    by_day = empty.usage_df(by=["day", "project"]).dtypes.to_dict()
    write("s1").answer("m1", call("c1"))
    full = cpr.transcripts(projects)
    assert [getattr(full, name)().dtypes.to_dict() for name in names] == dtypes
    assert full.usage_df(by=["day", "project"]).dtypes.to_dict() == by_day


@pytest.mark.parametrize("folder", ["/no/such/folder", "nul\0", None], ids=["none", "nul", "usual"])
def test_no_folder_is_said_in_words(
    folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "no-claude"))
    with pytest.raises(cpr.InputError, match="there is no folder"):
        cpr.transcripts(folder)


def test_a_conversation_without_times_is_last(write: Write, projects: Path) -> None:
    write("a").user("Do it.", timestamp=None)
    write("b").user("Do that.")
    df = cpr.transcripts_df(projects)
    assert df.conversation_id.tolist() == ["b", "a"]
    assert df.started_at.isna().tolist() == [False, True]


def test_a_folder_that_has_gone_is_no_empty_folder(write: Write, projects: Path) -> None:
    write("s1").answer("m1")
    seen = cpr.transcripts(projects)
    projects.rename(projects.with_name("elsewhere"))
    with pytest.raises(cpr.InputError, match=r"can't be read: No such file"):
        seen.refresh()
    assert len(seen.messages_df()) == 1


def test_sessions_of_cpr_are_no_transcripts(
    stub_cpr: Cpr, write: Write, projects: Path, tmp_path: Path
) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    results = session.path.parent
    for folder in (results, session.path):
        with pytest.raises(cpr.InputError, match="sessions of cpr, and no transcripts"):
            cpr.transcripts(folder)
        done = stub_cpr("import", str(folder))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "holds sessions of cpr: there is nothing to import" in done.stderr
    results.rename(projects / "results")
    write("s1").answer("m1", output=5)
    assert list(cpr.transcripts(projects).messages_df().message_id) == ["m1"]
    stub_cpr.env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    assert json.loads(stub_cpr.good("import", str(projects), "--json"))["n_conversations"] == 1
