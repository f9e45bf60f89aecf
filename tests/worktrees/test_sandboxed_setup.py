"""A set-up that goes on where a sandboxed agent has worked runs in the same sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")


@pytest.mark.parametrize("is_kept", [True, False])
def test_it_writes_in_the_worktree_only(
    repo: Checkout,
    runner: Runner,
    new_runner: Callable[[], Runner],
    tmp_path: Path,
    is_kept: bool,
) -> None:
    state, again = tmp_path / "state", new_runner()
    state.mkdir()
    (state / "key").write_text("secret")
    marker = tmp_path / "marker"
    writes = [marker, f"{repo.path}/.git/marker", f"{again.folder}/marker", ".git", ".mcp.json"]
    setup = "; ".join(f"echo x >> {path}" for path in writes)
    setup += f"; echo x > fine; cat {state}/key 2>/dev/null > seen"
    options = {"permissions": "sandbox", "state_dir": str(state), "setup": f"{setup}; exit 0"}
    runner.prepare("docs", **{**options, "setup": "echo x > first"}).write({"c.txt": "c\n"})
    runner.harvest("docs", keep_worktrees=is_kept)
    parent = {**runner.parent, "task_id": "docs"}
    made = again.prepare("docs", parent=parent, **options)
    assert (made.path / "fine").exists() and (made.path / "seen").read_text() == ""
    assert not marker.exists() and not (again.folder / "marker").exists()
    assert not (repo.path / ".git" / "marker").exists()
    assert (made.path / ".git").read_text().startswith("gitdir: ")
    assert not (made.path / ".mcp.json").exists() and not (made.path / ".claude").exists()
    options |= {"permissions": "edits", "setup": f"echo x >> {marker}"}
    again.harvest("docs", keep_worktrees=is_kept)
    new_runner().prepare("docs", parent={**again.parent, "task_id": "docs"}, **options)
    assert marker.exists(), "the set-up can reach it, and nothing but the sandbox keeps it off"
