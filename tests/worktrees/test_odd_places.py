"""Repositories in folders with odd names: a line end is allowed in each."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import plan


@pytest.mark.parametrize("name", ["a\nb", "end\n", "\n\nworktree x\n\n"])
def test_a_task_works_merges_and_is_cleaned_away(stub_cpr: Cpr, tmp_path: Path, name: str) -> None:
    repo = Checkout.new(tmp_path / "odd" / name)
    repo.commit("first", {"sub\n/a.txt": "a\n"})
    text = prompts({"id": "one", "prompt": plan(write={"new.txt": "new\n"})})
    options = ("--results-dir", str(tmp_path / "results"))
    session = stub_cpr.launch(text, "--worktree", *options, cwd=repo.path / "sub\n").wait(LIMIT_S)
    assert session[0].ok, session[0].error
    assert session[0].fields.get("worktree") is None and session[0].fields["n_files_changed"] == 1
    assert len(session.worktrees_df()) == 1
    stub_cpr.good("merge", session.id, *options, cwd=repo.path)
    assert repo.files("main") == {"sub\n/a.txt": "a", "sub\n/new.txt": "new"}
    stub_cpr.good("clean", session.id, *options, cwd=repo.path)
    assert repo.branches() == ["main"]
