"""A node without the repository: its helper makes and saves checkouts, as real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from cpr_nb.nodes import checkout
from cpr_nb.nodes.mirror_list import known_commits
from testkit.repository import LIMIT_S, Checkout, Runner, answer_of, start_helper


class Node:
    """One machine's folder of ours.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def ask(self, command: str, **job: str) -> dict[str, Any]:
        """What the helper answers."""
        done = subprocess.run(
            [sys.executable, "-I", str(checkout.__file__), command],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stderr.decode()
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def receive(self, runner: Runner, task_id: str, **options: Any) -> Received:
        """Packs a task's worktree at home, and makes its checkout here."""
        answer = self.refusable(runner, task_id, **options)
        assert answer["ok"], answer
        return Received(self, runner, task_id, answer)

    def refusable(self, runner: Runner, task_id: str, **options: Any) -> dict[str, Any]:
        """The same, whatever the helper answers."""
        order = runner.order(task_id, **options)
        known = known_commits(str(self.root))
        packed = answer_of(start_helper("pack", {**order, "has_worktree": True, "known": known}))
        assert packed["ok"], packed
        self.parcel_bytes = Path(packed["parcel"]).stat().st_size
        folder = self.root / f"parcel-{task_id}"
        with tarfile.open(packed["parcel"]) as tar:
            tar.extractall(folder)
        Path(packed["parcel"]).unlink()
        place = str(self.root / "checkouts" / task_id)
        return {
            **self.ask("make", root=str(self.root), place=place, parcel=str(folder)),
            "place": place,
        }


class Received(Checkout):
    """A task's checkout on a node.

    Args:
        node: The node.
        runner: Its session.
        task_id: The task.
        answer: What the helper answered.
    """

    def __init__(self, node: Node, runner: Runner, task_id: str, answer: dict[str, Any]) -> None:
        paths = dict(answer["paths"])
        self.at_home = next(iter(paths))
        super().__init__(Path(paths[self.at_home]))
        self.cwd = Path(answer["cwd"])
        self._node, self._runner, self._task_id = node, runner, task_id
        self._place = answer["place"]

    def send_home(self) -> None:
        """Leaves the work in the session's folder, as a bundle."""
        bundle = self._runner.folder / f"task-{self._task_id}.bundle"
        answer = self._node.ask("save", place=self._place, bundle=str(bundle))
        assert answer["ok"], answer
