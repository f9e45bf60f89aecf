"""The lines of real patches: their files and numbers, whatever the files are called and hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.repository import Checkout

from cpr_nb.display.patch_lines import PatchLine, patch_lines
from cpr_nb.model.errors import InputError
from cpr_nb.worktrees.diffstat import write_patch
from cpr_nb.worktrees.git_command import Git

BEFORE: dict[str, str | bytes] = {
    "sp ace.txt": "one\ntwo\nthree\n",
    "ünï.txt": "-- x\n",
    'q"uo\tted.txt': "q\n",
    "ends.txt": b"a\rb\x0cc\r\n\xff\n",
    "binary": bytes(range(256)) * 20,
    "moved.txt": "m\n" * 30,
    "gone.txt": "g\n",
}
AFTER: dict[str, str | bytes] = {
    **BEFORE,
    "sp ace.txt": "one\n2\nthree\nfour",
    "ünï.txt": "-- y\n++ z\n",
    'q"uo\tted.txt': "q\nr\n",
    "ends.txt": b"a\rb\x0cd\r\n\xff\n\xe2\x80\xa8",
    "binary": bytes(range(255, -1, -1)) * 20,
}


@pytest.fixture
def patch(tmp_path: Path) -> str:
    repo = Checkout.new(tmp_path / "repo")
    base = repo.commit("before", BEFORE)
    repo.git("mv", "moved.txt", "elsewhere.txt")
    (repo.path / "gone.txt").unlink()
    (repo.path / "sp ace.txt").chmod(0o755)
    tip = repo.commit("after", {**AFTER, "elsewhere.txt": "m\n" * 30, "empty.txt": ""})
    (repo.path / "moved.txt").unlink()
    repo.git("rm", "-q", "--cached", "moved.txt", "gone.txt")
    repo.git("commit", "-q", "--amend", "-m", "after")
    tip = repo.head
    file = tmp_path / "a.patch"
    assert write_patch(Git(str(repo.path)), base, tip, str(file))
    return file.read_bytes().decode("utf-8", "replace")


def test_each_line_has_the_number_that_it_has_in_its_file(patch: str) -> None:
    lines = patch_lines(patch)
    assert "\n".join(line.text for line in lines) + "\n" == patch
    for path, content in AFTER.items():
        rows = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        numbered = dict(enumerate(rows.split("\n"), 1))
        shown = [line for line in lines if line.path == path and line.new_number]
        for line in shown:
            assert numbered[line.new_number or 0] == line.text[1:], path
    removed = [line for line in lines if line.path == "gone.txt" and line.is_content]
    assert removed == [PatchLine("-g", "gone.txt", 1, None)]


def test_every_changed_file_is_named_as_it_is_called(patch: str) -> None:
    names = {line.path for line in patch_lines(patch)}
    changed = {name for name in AFTER if AFTER[name] != BEFORE[name]}
    assert names == changed | {"elsewhere.txt", "gone.txt", "empty.txt"}


@pytest.mark.parametrize(
    "text",
    ["--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-only one\n", "+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"],
    ids=["torn", "headless"],
)
def test_what_is_no_patch_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="can't be read"):
        patch_lines(text)


def test_nothing_has_no_lines() -> None:
    assert [line for line in patch_lines("") if line.text] == []
