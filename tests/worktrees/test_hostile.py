"""What a user's configuration and environment may hold must not matter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner


def hostile_config(folder: Path) -> str:
    """A configuration of which everything would break a command, or leave a mark."""
    mark = f"touch {folder}/executed; false"
    hooks = folder / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "commit-msg", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\n{mark}\n")
        (hooks / name).chmod(0o755)
    for name in ("fsmonitor", "differ", "gpg", "editor"):
        (folder / name).write_text(f"#!/bin/sh\n{mark}\n")
        (folder / name).chmod(0o755)
    return f"""
[user]
    name = Ada
    email = ada@example.org
    signingKey = none
[core]
    hooksPath = {hooks}
    fsmonitor = {folder}/fsmonitor
    editor = {folder}/editor
    pager = {folder}/editor
    safecrlf = true
    autocrlf = input
    quotePath = true
    splitIndex = true
    untrackedCache = true
    commentChar = L
[commit]
    gpgSign = true
    template = {folder}/missing
    cleanup = scissors
    verbose = true
[gpg]
    program = {folder}/gpg
[tag]
    gpgSign = true
[init]
    templateDir = {hooks.parent}
[status]
    showUntrackedFiles = no
    relativePaths = false
    branch = true
[diff]
    external = {folder}/differ
    noprefix = true
    mnemonicPrefix = true
    renames = copies
    orderFile = {folder}/missing
    ignoreSubmodules = all
    wordRegex = .
    context = 0
    colorMoved = zebra
[color]
    ui = always
    diff = always
    status = always
    branch = always
[alias]
    add = !{mark}
    status = !{mark}
    worktree = !{mark}
[merge]
    ff = only
    verifySignatures = true
    autoStash = true
    conflictStyle = diff3
[rerere]
    enabled = true
[submodule]
    recurse = true
[branch]
    autoSetupMerge = always
    autoSetupRebase = always
[worktree]
    guessRemote = true
[gc]
    auto = 1
[log]
    showSignature = true
[i18n]
    commitEncoding = ISO-8859-1
    logOutputEncoding = ISO-8859-1
[advice]
    detachedHead = true
[add]
    ignoreErrors = true
[feature]
    manyFiles = true
"""


@pytest.fixture
def hostile(repo: Checkout, tmp_path: Path) -> Path:
    """Makes the user's configuration hostile; the file that is there if any of it was executed."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    config = hostile_config(folder)
    (tmp_path / "home/.gitconfig").write_text(config)
    return folder / "executed"


def test_the_users_configuration_breaks_nothing_and_executes_nothing(
    repo: Checkout, runner: Runner, hostile: Path, tmp_path: Path
) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "one\r\n2\nthree\n", 'nëw \n"file"\t.txt': "new\n", "x.log": "log"})
    (made.path / "raw").write_bytes(b"\0\r\n\xff")
    told = runner.harvest("docs")
    assert not hostile.exists()
    assert (told["n_commits"], told["n_files_changed"], told["worktree"]) == (1, 3, None)
    assert told["ignored_files"] == ["x.log"]
    assert_patch_makes(repo, told, tmp_path)


def assert_patch_makes(repo: Checkout, told: dict[str, str], tmp_path: Path) -> None:
    """The patch, applied to the base by a git of no configuration, makes the branch's tree."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"}
    env |= {"GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=repo.path, env=env, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    git("read-tree", told["base_commit"])
    git("apply", "--cached", told["patch"])
    assert git("write-tree") == git("rev-parse", f"{told['tip_commit']}^{{tree}}")


def test_hooks_of_the_repository_do_not_run(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    for name in ("post-checkout", "pre-commit", "commit-msg", "post-commit", "post-index-change"):
        hook = repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}; exit 1\n")
        hook.chmod(0o755)
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n"})
    assert runner.harvest("docs")["n_commits"] == 1
    assert not mark.exists()


@pytest.mark.parametrize(
    "names",
    [
        ("GIT_DIR", "GIT_WORK_TREE"),
        ("GIT_INDEX_FILE", "GIT_COMMON_DIR"),
        ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
        ("GIT_NAMESPACE", "GIT_PREFIX", "GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS"),
        ("GIT_EXTERNAL_DIFF", "GIT_TRACE", "GIT_CONFIG", "GIT_TEMPLATE_DIR", "GIT_EDITOR"),
    ],
)
def test_variables_of_a_git_that_launched_us_do_not_count(
    repo: Checkout, runner: Runner, tmp_path: Path, names: tuple[str, ...]
) -> None:
    other = Checkout.new(tmp_path / "other")
    other.commit("other", {"o.txt": "o"})
    before = other.state(), repo.state()
    runner.env = {name: str(other.path / ".git") for name in names}
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n"})
    told = runner.harvest("docs")
    assert (told["n_commits"], told["n_files_changed"], told["worktree"]) == (1, 1, None)
    assert repo.files("main-task-docs")["a.txt"] == "changed"
    assert (other.state(), repo.state()) == before


def test_without_an_identity_a_neutral_one_commits(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    (tmp_path / "home/.gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n"})
    runner.harvest("docs")
    assert repo.git("log", "-1", "--format=%an <%ae> %cn", "main-task-docs") == (
        "cpr <cpr@localhost> cpr"
    )


def test_the_users_identity_commits(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n"})
    runner.harvest("docs")
    assert repo.git("log", "-1", "--format=%an <%ae> %G?", "main-task-docs") == (
        "Ada <ada@example.org> N"
    )


def test_globally_ignored_files_are_ignored(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text(".DS_Store\n")
    repo.git("config", "--global", "core.excludesFile", str(tmp_path / "ignore"))
    made = runner.prepare("docs")
    made.write({".DS_Store": "x"})
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["ignored_files"]) == (0, [".DS_Store"])


def test_filters_of_the_user_hold(repo: Checkout, runner: Runner) -> None:
    """As with git-lfs: what is stored is not what lies in the folder."""
    repo.git("config", "--global", "filter.up.smudge", "tr a-z A-Z")
    repo.git("config", "--global", "filter.up.clean", "tr A-Z a-z")
    repo.commit("filtered", {".gitattributes": "*.up filter=up\n", "x.up": "text\n"})
    made = runner.prepare("docs")
    assert (made.path / "x.up").read_text() == "TEXT\n"
    made.write({"y.up": "MORE\n"})
    assert runner.harvest("docs")["n_files_changed"] == 1
    assert repo.files("main-task-docs")["y.up"] == "more"


def test_names_that_are_no_utf8_are_saved(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    made = runner.prepare("docs")
    made.write({"\udcff\udcfe.txt": "x", "\udcff.log": "x"})
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["ignored_files"]) == (1, ["\udcff.log"])
    assert_patch_makes(repo, told, tmp_path)
