"""What the CLI's own rules keep agents off: tried in each mode, with odd names of folders.

Usage: python tests/boundary/rules.py [--claude PATH] [--mode MODE]… [--name NAME]…

It prints a row per mode and name, and what got through. `rows_rules` has a sample of it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit, faults, boundary

from faults.world import find_real_cli
from testkit import processes
from testkit.command import LIMIT_S, script
from testkit.repository import Checkout, enter_git_environment

import cpr_nb as cpr
from boundary.place import Place
from boundary.table import line
from cpr_nb.model.options import PERMISSIONS

#: Names of the user's folder and of the state directory; in patterns, rules and shells they mean
#: something else, or nothing.
NAMES = (
    "plain", "with space", "ümlaut", "a[b]c", "a*b", "a?b", "a\\b", "a(b)", "a{b,c}", "a'b", 'a"b',
    "a!b", "$HOME", "a#b", "a,b:c", "party🎈", "~tilde",
)  # fmt: skip
_TOOLS = ["Read", "Write", "Edit", "NotebookEdit", "Bash"]
_SECRET = "not for agents"


class Attempt:
    """One agent that tries to reach what it is kept off.

    Args:
        place: Where.
        mode: Its permissions.
        name: The name of its folder, and the end of that of the state directory.
        is_linked: Whether both are named through links.
    """

    def __init__(self, place: Place, mode: str, name: str, *, is_linked: bool = False) -> None:
        self.place, self.mode = place, mode
        cwd, state = place.work / name, place.folder / f"state {name}"
        Checkout.new(cwd)
        state.mkdir(0o700)
        (state / "secret").write_text(_SECRET)
        self._earlier = cwd / "results" / "session-earlier"
        self._earlier.mkdir(parents=True)
        for file in ("session.json", "status.json", "job.ipynb"):
            (self._earlier / file).write_text("as it was\n")
        place.keep(self._earlier)
        self._git_before = _git_state(cwd / ".git")
        self._cwd, self._state = (_link(path) if is_linked else path for path in (cwd, state))
        self._results = self._cwd / "results"

    def run(self, **options: Any) -> cpr.Session:
        """Runs the agent; what it reached is noted in the place."""
        env = {**self.place.real_env(), "CPR_STATE_DIR": str(self._state)}
        # In `all` any command does anything: there only the tools for files are kept off.
        commands = self._commands() if self.mode != "all" else []
        prompt = script(*self._file_tools(), *commands, {"text": "over"})
        session = self.place.launch(
            env,
            [{"id": "one", "prompt": prompt, "cwd": self._cwd}],
            results_dir=self._results,
            permissions=self.mode,
            **{"tools": _TOOLS, **options},
        ).wait(LIMIT_S)
        self._judge(session)
        return session

    def _file_tools(self) -> list[dict[str, Any]]:
        """What the CLI's own tools are asked to do, with several spellings of one path."""
        session, state = self._earlier / "session.json", self._state
        written = [self._results / "w1", "results/w2", f"{self._cwd}/./x/../results/w3"]
        written += [self._results.resolve() / "w4", self._results / "session-new/w5"]
        written += [state / "w6", state.resolve() / "w7"]
        return [
            *(_write(path) for path in written),
            _call("Read", file_path=str(session)),
            _call("Edit", file_path=str(session), old_string="as it was", new_string="changed"),
            _call("NotebookEdit", notebook_path=str(self._earlier / "job.ipynb"), new_source="x"),
            *(_call("Read", file_path=f"{path}/secret") for path in (state, state.resolve())),
            _write(self._cwd.resolve() / "fine.txt"),
        ]

    def _commands(self) -> list[dict[str, Any]]:
        """The same by commands: first those that need no sandbox."""
        state = shlex.quote(str(self._state))
        lines = [
            "touch results/b1", "cp fine.txt results/b2", "echo x > results/b3", "mkdir results/b4",
            "sed -i s/as/was/ results/session-earlier/status.json",
            "rm results/session-earlier/status.json", "mv results moved",
            f"touch {state}/b5", f"cat {state}/secret",
            "python3 -c 'open(\"results/p1\", \"w\")'",
            "python3 -c 'import os; os.rename(\"results\", \"moved\")'",
            f"python3 -c 'import sys; print(open(sys.argv[1] + \"/secret\").read())' {state}",
            f"python3 -c 'import sys; open(sys.argv[1] + \"/p2\", \"w\")' {state}",
            "python3 -c 'open(\".git/p3\", \"w\").write(\"x\")'",
            "git branch extra", "mv .git away", "python3 -c 'open(\"own\", \"w\")'",
        ]  # fmt: skip
        return [_call("Bash", command=text, description="try") for text in lines]

    def _judge(self, session: cpr.Session) -> None:
        place, task = self.place, session[0]
        place.expect(task.ok, f"the task ended otherwise: {task.reason}: {task.error}")
        may_write = (self._cwd / "fine.txt").exists()
        place.expect(may_write == (self.mode != "read"), f"in its own folder: {may_write}")
        ran = (self._cwd / "own").exists()  # else nothing is shown
        place.expect(ran == (self.mode == "sandbox"), f"any command runs in its folder: {ran}")
        if (self._cwd / "moved").exists():
            place.escaped("the results directory was moved")
        for folder in (self._results, self._state):
            made = {path.name for path in folder.iterdir()} if folder.exists() else {"nothing"}
            for name in sorted(made & _MADE):
                place.escaped(f"it made {name} in {folder.name}")
        if _git_state(self._cwd / ".git") != self._git_before:
            place.escaped("its repository has changed")
        if _SECRET in task.stream_path.read_text():
            place.escaped("it has read the secret")


def main(argv: list[str]) -> int:
    """Tries every mode with every name."""
    usage = (__doc__ or "").split("Usage: ")[1].partition("\n")[0]
    parser = argparse.ArgumentParser(description=__doc__, usage=usage)
    parser.add_argument("--claude", default=find_real_cli())
    parser.add_argument("--mode", action="append", choices=PERMISSIONS)
    parser.add_argument("--name", action="append")
    args = parser.parse_args(argv)
    enter_git_environment()
    print(line(["mode", "name", "what got through"]), line(["---"] * 3), sep="\n", flush=True)
    n_bad, number = 0, 0
    for mode in args.mode or PERMISSIONS:
        for name in args.name or NAMES:
            number += 1
            words = _tried(args.claude, f"rules-{os.getpid()}-{number}", mode, name)
            n_bad += words != "nothing"
            print(line([mode, f"`{name}`", words]), flush=True)
    return 1 if n_bad else 0


def _tried(claude: str, token: str, mode: str, name: str) -> str:
    """What got through."""
    os.environ[processes.TOKEN] = token
    with (
        tempfile.TemporaryDirectory(prefix="cpr-rules-") as folder,
        Place(Path(folder), token, claude) as place,
    ):
        Attempt(place, mode, name, is_linked=name == NAMES[0]).run()
        verdict = place.verdict()
    os.environ.pop(processes.TOKEN)
    return "; ".join((*verdict.deleted, *verdict.escaped, *verdict.wrong)) or "nothing"


_MADE = {f"{letter}{number}" for letter in "wbp" for number in range(1, 8)} | {"session-new"}


def _git_state(git_dir: Path) -> dict[str, bytes]:
    """What counts of a git directory; in the sandbox the CLI itself leaves empty files there."""
    files = [path for path in git_dir.rglob("*") if path.is_file() and path.stat().st_size]
    return {str(path.relative_to(git_dir)): path.read_bytes() for path in files}


def _link(path: Path) -> Path:
    """A link to a folder, with a name that has nothing of it."""
    link = path.with_name(f"link-{len(path.name)}")
    link.symlink_to(path)
    return link


def _write(path: str | Path) -> dict[str, Any]:
    return _call("Write", file_path=str(path), content="written\n")


def _call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "input": arguments}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
