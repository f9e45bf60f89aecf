"""What a sandboxed agent leaves for later: code for the check, and a repository for git."""

from __future__ import annotations

import shlex
import sys

from testkit.command import LIMIT_S, script
from testkit.repository import Checkout

from boundary.place import Place
from boundary.table import Row

_LIMITS = {"permissions": "sandbox", "attempts": 1}


def check_caged(place: Place) -> None:
    """The test that an agent writes does, in the check, what the agent itself can't."""
    program, state = place.program("test of the agent"), place.folder / "state"
    outside, victim = place.folder / "outside", place.victim("neighbour")
    code = f"""
import pathlib, shutil, subprocess, socket
def attempt(action):
    try:
        print(action())
    except OSError as error:
        print(error)
def test_it():
    attempt(lambda: subprocess.run([{program!r}]))
    attempt(lambda: pathlib.Path({str(outside)!r}).write_text("x"))
    attempt(lambda: shutil.rmtree({str(victim)!r}))
    attempt(lambda: pathlib.Path("results/session-forged").mkdir())
    attempt(lambda: pathlib.Path(".git/config").write_text("x"))
    attempt(lambda: pathlib.Path(".claude/settings.json").write_text("x"))
    attempt(lambda: pathlib.Path({str(state / "key")!r}).read_bytes().hex())
    attempt(lambda: socket.socket(socket.AF_UNIX))
    pathlib.Path("ran").write_text("x")
"""
    Checkout.new(place.work / "shop")
    config = (place.work / "shop" / ".git" / "config").read_text()
    write = {"tool": "Write", "input": {"file_path": "{cwd}/test_it.py", "content": code}}
    session = place.launch(
        {**place.real_env(), "CPR_STATE_DIR": str(state)},
        [{"id": "one", "prompt": script(write, {"text": "over"}), "cwd": place.work / "shop"}],
        results_dir=place.work / "shop" / "results",
        check=f"{shlex.quote(sys.executable)} -m pytest -q -s test_it.py",
        **_LIMITS,
    ).wait(LIMIT_S)
    shop, log = place.work / "shop", (session.path / "task-one.check.log").read_text()
    place.expect(session[0].ok and (shop / "ran").exists(), f"the check did not run: {log}")
    place.expect("Operation not permitted" in log, "a Unix socket can be opened")
    if (state / "key").read_bytes().hex() in log:
        place.escaped("the key")
    for path in (outside, shop / "results/session-forged", shop / ".claude/settings.json"):
        if path.exists():
            place.escaped(path.name)
    if (shop / ".git/config").read_text() != config:
        place.escaped("the configuration of the repository")


def git_readonly(place: Place) -> None:
    """An agent with a worktree changes the repository, or leads its own checkout elsewhere."""
    shop = Checkout.new(place.work / "shop")
    shop.commit("begin", {"a.txt": "a\n"})
    git_dir = shop.path / ".git"
    words = [
        "git add -A", "git commit -m mine", "git branch extra", "git tag extra", "git stash",
        "git config core.fsmonitor marker", f"git -C {shop.path} switch --orphan other",
        *(
            f"python3 -c 'open(\"{git_dir}/{name}\", \"w\").write(\"x\")'"
            for name in ("HEAD", "config", "hooks/pre-commit", "info/attributes", "packed-refs")
        ),
        "python3 -c 'open(\".git\", \"w\").write(\"gitdir: /nowhere\")'",
        "python3 -c 'import os; os.unlink(\".git\")'", f"mv {git_dir} {git_dir}.away",
        "echo mine > a.txt", "git status --short",
    ]  # fmt: skip
    steps = [{"tool": "Bash", "input": {"command": text, "description": "try"}} for text in words]
    before = {name: (git_dir / name).read_bytes() for name in ("HEAD", "config")}
    session = place.launch(
        place.real_env(),
        [{"id": "one", "prompt": script(*steps, {"text": "over"}), "cwd": shop.path}],
        worktree=True,
        **_LIMITS,
    ).wait(LIMIT_S)
    place.expect(session[0].ok, f"{session[0].reason}: {session[0].error}")
    place.expect(" M a.txt" in session[0].stream_path.read_text(), "git status did not work")
    place.expect(shop.files("main-task-one").get("a.txt") == "mine", "its work is not committed")
    log = shop.git("log", "--format=%s", "main..main-task-one").splitlines()
    if len(log) != 1 or "mine" in log:
        place.escaped(f"commits of its own: {log}")
    branches = shop.git("branch", "--format=%(refname:short)").splitlines()
    if branches != ["main", "main-task-one"] or shop.git("tag"):
        place.escaped(f"branches and tags of its own: {branches}")
    for name, content in before.items():
        if (git_dir / name).read_bytes() != content:
            place.escaped(f"{name} has changed")
    if (git_dir / "hooks" / "pre-commit").exists() or shop.git("stash", "list"):
        place.escaped("a hook, or a stash")


ROWS = [
    Row("a sandboxed agent", "its check", check_caged, real=True, slow=True),
    Row("a sandboxed agent", ".git of its worktree", git_readonly, real=True, slow=True),
]
