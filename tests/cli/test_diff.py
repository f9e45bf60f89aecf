"""What tasks changed, in the terminal; comments on lines become a follow-up on the branch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.display.patch_lines import patch_lines
from cpr_nb.launching.review_comments import (
    editor_text,
    parse_comments,
    read_edited,
    review_prompt,
)
from cpr_nb.model.errors import InputError
from cpr_nb.offline.scripted_api import ScriptedApi

Transcript = Callable[[str], Path]
ESCAPE = "\x1b"
#: What an agent may leave in a file: it must not drive the terminal.
HOSTILE = "red \x1b[31m\x07 text\n"


@pytest.fixture
def repo(work: Path) -> Checkout:
    work.rmdir()
    checkout = Checkout.new(work)
    numbers = "".join(f"{number}\n" for number in range(1, 31))
    checkout.commit("first", {"n.txt": numbers, "b.txt": "b\n", ".gitignore": "results/\n"})
    return checkout


@pytest.fixture
def session(stub_cpr: Cpr, repo: Checkout, transcript: Transcript) -> cpr.Session:
    """Task 1 changes lines, task 2 only adds a file with hostile content, task 3 nothing."""
    changed = (repo.path / "n.txt").read_text().replace("4\n5\n", "4\nfive\n", 1)
    tasks = [
        {"id": "edit", "prompt": plan(write={"n.txt": changed + "last\n", "new.py": "x = 1\n"})},
        {"id": "hostile", "prompt": plan(write={"h.txt": HOSTILE})},
        {"id": "idle", "prompt": "nothing"},
    ]
    session = stub_cpr.launch(prompts(*tasks), "--worktree").wait(LIMIT_S)
    assert all(task.ok for task in session)
    for task in session:
        transcript(str(task.conversation_id))
    return session


def prompt_of(output: str) -> str:
    (row,) = json.loads(output)
    return str(row["prompt"])


# -- showing --------------------------------------------------------------------------------


def test_a_pipe_gets_the_patch_byte_by_byte(
    stub_cpr: Cpr, repo: Checkout, session: cpr.Session
) -> None:
    for name in ("edit", "hostile"):
        patch = stub_cpr.good("diff", session.id[:8], "--task", name)
        assert patch.encode() == Path(session.paths.patch(name)).read_bytes()
    repo.git("apply", "-", feed=patch.encode())
    assert (repo.path / "h.txt").read_text() == HOSTILE


def test_a_terminal_gets_colours_numbers_and_nothing_that_drives_it(
    stub_cpr: Cpr, session: cpr.Session
) -> None:
    stub_cpr.env["PAGER"] = "cat"
    with stub_cpr.on_terminal("diff", session.id, "--task", "edit") as terminal:
        assert terminal.finish() == 0
    rows = terminal.text.splitlines()
    assert "    -5 -5" in rows and "     5 +five" in rows and "    31 +last" in rows
    assert "\x1b[32m+five\x1b[0m" in terminal.output.decode()
    stub_cpr.env["NO_COLOR"] = "1"
    with stub_cpr.on_terminal("diff", session.id, "--task", "hostile") as terminal:
        assert terminal.finish() == 0
    assert ESCAPE.encode() not in terminal.output and b"\x07" not in terminal.output
    assert "+red \\x1b[31m\\x07 text" in terminal.text


def test_several_changed_tasks_are_listed(stub_cpr: Cpr, session: cpr.Session) -> None:
    listed = stub_cpr.good("diff", session.id).splitlines()
    assert listed[0].split() == ["1", "main-task-edit", "2", "files,", "+3", "-1"]
    assert listed[1].split()[:2] == ["2", "main-task-hostile"]
    assert listed[-1] == f"  cpr diff {session.id[:8]} --task N"
    rows = json.loads(stub_cpr.good("diff", session.id, "--json"))
    assert [(row["task_num"], row["branch"], row["lines_added"]) for row in rows] == [
        (1, "main-task-edit", 3),
        (2, "main-task-hostile", 1),
    ]
    assert rows[0]["patch"] == session[0].diff().patch


def test_who_changed_nothing_is_said_to(stub_cpr: Cpr, session: cpr.Session) -> None:
    done = stub_cpr("diff", session.id, "--task", "3")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "cpr: task 3 changed nothing\n"
    elsewhere = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    done = stub_cpr("diff", elsewhere.id, "--task", "1")
    assert "task 1 has no branch of its own: launch with --worktree" in done.stderr


def test_a_running_task_has_no_changes_yet(stub_cpr: Cpr, stub: Stub, repo: Checkout) -> None:
    stub.fifos("go")
    session = stub_cpr.launch(prompts(plan(here="go", gate="go")), "--worktree")
    stub.await_here("go")
    done = stub_cpr("diff", session.id, "--task", "1")
    assert done.returncode == 0 and "task 1 has not ended" in done.stderr
    stub.release("go")
    session.wait(LIMIT_S)


# -- comments -------------------------------------------------------------------------------


def test_comments_reach_the_agent_with_their_lines(stub_cpr: Cpr, session: cpr.Session) -> None:
    said = ("--comment", "n.txt:5:Why a word?", "--comment", "./new.py:1:Name it.")
    removed = ("--comment", "n.txt:-5:Keep: it\nwas right")
    words = ("diff", session.id, "--task", "edit", *said, *removed)
    assert prompt_of(stub_cpr.good(*words, "--dry-run", "--json")) == (
        "Please work on these review comments about your changes.\n\n"
        "n.txt, line 5:\n```diff\n 3\n 4\n-5\n+five\n```\nWhy a word?\n\n"
        "new.py, line 1:\n```diff\n+x = 1\n```\nName it.\n\n"
        "n.txt, line 5 before your changes:\n```diff\n 2\n 3\n 4\n-5\n```\nKeep: it\nwas right"
    )
    assert len(list(session.path.parent.glob("session-*"))) == 1, "a dry run starts nothing"
    more = cpr.Session(json.loads(stub_cpr.good(*words, "--json"))["path"]).wait(LIMIT_S)
    assert more[0].fields["branch"] == "main-task-edit"
    assert more.head["parent_session_id"] == session.id


MISTAKES = [
    (["--task", "edit", "--comment", "n.txt:Why?"], "must be FILE:LINE:TEXT"),
    (["--task", "edit", "--comment", "n.txt:5: "], "must be FILE:LINE:TEXT"),
    (["--task", "edit", "--comment", "b.txt:1:x"], "not among the changed files: n.txt, new.py"),
    (["--task", "edit", "--comment", "n.txt:15:x"], "it shows 2-8, 28-31"),
    (["--task", "edit", "--comment", "n.txt:-4:x"], "does not show line -4"),
    (["--comment", "n.txt:5:x"], "name the task (--task); changed something: 1, 2"),
    (["--task", "idle", "--comment", "n.txt:5:x"], "task 3 changed nothing"),
    (["--task", "edit", "--model", "opus"], "--model is for a follow-up: add --comment"),
    (["--task", "edit", "--dry-run"], "--dry-run is for a follow-up"),
]


def test_a_mistake_is_one_line_and_starts_nothing(stub_cpr: Cpr, session: cpr.Session) -> None:
    for words, why in MISTAKES:
        done = stub_cpr("diff", session.id, *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert why in done.stderr
    assert len(list(session.path.parent.glob("session-*"))) == 1


def editor(folder: Path, body: str) -> str:
    """An editor that runs a Python text on `text`, which it reads and saves."""
    program = folder / "my editor.py"
    program.write_text(
        "import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\ntext = path.read_text()\n"
        f"{body}\npath.write_text(text)\n"
    )
    return f"python3 '{program}' --wait"


def test_an_editor_takes_comments_between_the_lines(
    stub_cpr: Cpr, session: cpr.Session, tmp_path: Path
) -> None:
    body = "text = text.replace('+five\\n', '+five\\nWhy a word?\\n\\n- one\\n# two\\n')"
    stub_cpr.env |= {"EDITOR": editor(tmp_path, body), "TMPDIR": str(tmp_path)}
    words = ("diff", session.id, "--task", "1", "--edit", "--comment", "new.py:1:x")
    with stub_cpr.on_terminal(*words, "--dry-run", "--json") as terminal:
        assert terminal.finish() == 0
    assert prompt_of(terminal.text).endswith(
        "x\n\nn.txt, line 5:\n```diff\n 3\n 4\n-5\n+five\n```\nWhy a word?\n\n- one\n# two"
    )
    assert list(tmp_path.glob("cpr-review-*")) == [], "nothing is left behind"


ENDS = [
    ("pass", "no comment was written", False),
    ("sys.exit(3)", "ended with 3", False),
    ("text = text.replace('+five', '+5') + 'Why?'", "the line '+five' of the diff", True),
    ("path.write_text(text + 'Why?'); sys.exit(1)", "ended with 1", True),
]


def test_what_was_written_is_not_lost(stub_cpr: Cpr, session: cpr.Session, tmp_path: Path) -> None:
    for number, (body, why, is_kept) in enumerate(ENDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        stub_cpr.env |= {"VISUAL": editor(folder, body), "EDITOR": "false", "TMPDIR": str(folder)}
        with stub_cpr.on_terminal("diff", session.id, "--task", "1", "--edit") as terminal:
            assert terminal.finish() == 2
        assert why in terminal.text
        kept = list(folder.glob("cpr-review-*/*.diff"))
        assert len(kept) == is_kept
        if is_kept:
            assert str(kept[0]) in terminal.text and "Why?" in kept[0].read_text()
    assert len(list(session.path.parent.glob("session-*"))) == 1


def test_no_editor_starts_where_nobody_can_type(
    stub_cpr: Cpr, session: cpr.Session, tmp_path: Path
) -> None:
    env = {"EDITOR": f"touch {tmp_path}/started", "TMPDIR": str(tmp_path)}
    done = stub_cpr("diff", session.id, "--task", "1", "--edit", env=env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "an editor needs a terminal; here, use --comment FILE:LINE:TEXT" in done.stderr
    assert not (tmp_path / "started").exists() and list(tmp_path.glob("cpr-review-*")) == []


def test_an_editor_may_remove_blanks_at_the_ends_of_lines() -> None:
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n \n-a  \n+b  \n c\n"
    lines = patch_lines(patch)
    saved = editor_text(lines).replace("+b", "+b\nWhy?")
    stripped = "\r\n".join(row.rstrip() for row in saved.split("\n"))
    for text in (saved.replace("+b\nWhy?  ", "+b  \nWhy?"), stripped):
        (comment,) = read_edited(text, lines)
        assert (comment.text, comment.above[-1].new_number) == ("Why?", 2)
    (general,) = read_edited(f"# a note\nAll in all: good.\n{patch}", lines)
    assert (general.text, general.above) == ("All in all: good.", ())


def test_a_fence_is_longer_than_any_in_the_file() -> None:
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+````\n"
    (comment,) = parse_comments(["x:1:Why?"], patch_lines(patch))
    assert "`````diff\n+````\n`````\nWhy?" in review_prompt([comment])


@pytest.mark.filterwarnings("ignore:.* does not name a version")
def test_a_task_is_reviewed_from_python(
    session: cpr.Session, stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_env)
    with pytest.raises(InputError, match="there is no comment"):
        session[0].review([])
    more = session[0].review(["new.py:1:Name it."], effort="low").wait(LIMIT_S)
    assert more[0].prompt.endswith("new.py, line 1:\n```diff\n+x = 1\n```\nName it.")


@pytest.mark.real_cli
def test_the_real_agent_works_on_a_comment_on_its_branch(
    real_cpr: Cpr, repo: Checkout, api: ScriptedApi
) -> None:
    wrote = {"tool": "Write", "input": {"file_path": "{cwd}/a.py", "content": "y = 1\nz = y\n"}}
    first = script(wrote, {"text": "done"}, say="Write a.py.")
    session = real_cpr.launch(prompts({"id": "a", "prompt": first}), "--worktree").wait(LIMIT_S)
    better = {"tool": "Write", "input": {"file_path": "{cwd}/a.py", "content": "z = 1\n"}}
    said = script(better, {"text": "one line now"}, say="Is y needed?")
    done = real_cpr("diff", session.id, "--comment", f"a.py:2:{said}", "--wait")
    assert done.returncode == 0 and "1/1 succeeded" in done.stdout, done.stderr
    (asked, *_) = [one for one in api.requests if "a.py, line 2:" in one.last_user_text]
    assert "```diff\n+y = 1\n+z = y\n```\nIs y needed?" in asked.last_user_text
    assert asked.n_messages > 2, "the conversation before it was sent along"
    assert repo.files("main-task-a")["a.py"] == "z = 1"
