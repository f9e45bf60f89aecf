"""What agents are kept off, as the rules that the CLI gets; `boundary.rows_rules` tries them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from testkit.repository import Checkout

from cpr_nb.runner.off_limits import OffLimits, git_dir_of


def rules(folder: str, root: str, state: str = "") -> list[str]:
    return OffLimits(folder, root, state).tool_rules()


def test_both_spellings_of_a_path_are_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    link, real = tmp_path / "link", tmp_path / "real"
    off = OffLimits(str(link), f"{link}/results/session-1", f"{link}/state")
    assert off.tool_rules() == [
        f"Edit(/{link}/results/**)",
        f"Edit(/{real}/results/**)",
        f"Edit(/{link}/state/**)",
        f"Edit(/{real}/state/**)",
        f"Read(/{link}/state/**)",
        f"Read(/{real}/state/**)",
    ]
    filesystem = off.sandbox_filesystem({})
    assert filesystem["denyWrite"] == [f"{real}/results", f"{real}/state"]
    assert filesystem["denyRead"] == [f"{real}/state"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("a b", "a?b"),
        ("a[b]", "a?b?"),
        ("a\\b", "a?b"),
        ("a*b", "a*b"),
        ("(x)", "?x?"),
        ("ü", "?"),
        ("party🎈", "party*"),
        ("e\u0301", "e?"),
    ],
)
def test_what_a_pattern_could_mean_otherwise_is_any_character(name: str, pattern: str) -> None:
    assert rules("/w", f"/w/{name}/session-1") == [f"Edit(//w/{pattern}/**)"]


def test_the_users_own_settings_can_be_read_but_not_written() -> None:
    off = OffLimits("/home/you", "/home/you/results/session-1", "", "/home/you/.config/cpr")
    assert "Edit(//home/you/.config/cpr/**)" in off.tool_rules()
    assert not any(rule.startswith("Read") for rule in off.tool_rules())
    filesystem = off.sandbox_filesystem({})
    assert filesystem["denyWrite"] == ["/home/you/results", "/home/you/.config/cpr"]
    assert filesystem["denyRead"] == []


def test_without_a_state_directory_only_the_results_are_denied() -> None:
    off = OffLimits("/w", "/w/results/session-1")
    assert off.tool_rules() == ["Edit(//w/results/**)"]
    assert off.sandbox_filesystem({}) == {
        "denyRead": [],
        "denyWrite": ["/w/results"],
        "disabled": False,
    }


@pytest.mark.parametrize("folder", ["/r", "/r/below"])
def test_who_works_in_the_results_directory_is_kept_off_its_sessions(folder: str) -> None:
    off = OffLimits(folder, "/r/session-1")
    assert off.tool_rules() == ["Edit(//r/session-*/**)"]
    assert off.unwritable() == ["/r/session-1"]


def test_settings_can_add_folders_but_open_none_of_ours() -> None:
    off = OffLimits("/w", "/w/results/session-1", "/home/state", git_dirs=["/w/.git"])
    wanted = {
        "allowRead": ["/home", "/home/state/key", "//home/state", "/home/*", "/ho?e/x", "/else/*"],
        "allowWrite": ["/home/state", "../home/state/x", "/out"],
        "denyWrite": ["/w/keep"],
        "denyRead": ["/private"],
        "disabled": True,
        "unheard": "of",
    }
    assert off.sandbox_filesystem(wanted) == {
        "allowRead": ["/home", "/else/*"],
        "allowWrite": ["/out"],
        "denyWrite": ["/w/keep", "/w/results", "/w/.git", "/home/state"],
        "denyRead": ["/private", "/home/state"],
        "disabled": False,
    }


def test_the_git_directory_is_that_which_all_worktrees_share(tmp_path: Path) -> None:
    main = Checkout.new(tmp_path / "main")
    main.commit("one", {"below/a": "a"})
    main.git("worktree", "add", "-q", str(tmp_path / "other"))
    (tmp_path / "link").symlink_to("other/below")
    git_dir = f"{main.path}/.git"
    places = ["main", "main/below", "other", "other/below", "link"]
    assert [git_dir_of(str(tmp_path / place)) for place in places] == [git_dir] * len(places)


def test_the_git_directory_of_a_submodule_is_its_own(tmp_path: Path) -> None:
    part = Checkout.new(tmp_path / "part")
    part.commit("one", {"a": "a"})
    whole = Checkout.new(tmp_path / "whole")
    whole.commit("one", {"b": "b"})
    command = ["git", "-c", "protocol.file.allow=always", "submodule", "add", str(part.path), "sub"]
    subprocess.run(command, cwd=whole.path, check=True, capture_output=True)
    assert git_dir_of(f"{whole.path}/sub") == f"{whole.path}/.git/modules/sub"


def test_a_folder_without_a_repository_has_no_git_directory(tmp_path: Path) -> None:
    assert git_dir_of(str(tmp_path)) is None
    assert git_dir_of("/") is None
