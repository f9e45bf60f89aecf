"""Folders of sessions as a runner would have left them, with times that a test can know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.times import utc_iso

BEGIN_S = 1_700_000_000.0
SESSION = "11111111-2222-4333-8444-555555555555"


class Ran:
    """A session whose attempts began and ended when the test says.

    Args:
        folder: The results directory.
        n_tasks: How many tasks it has.
    """

    def __init__(self, folder: Path, n_tasks: int) -> None:
        self.path = folder / f"session-{SESSION}"
        self.path.mkdir(parents=True)
        self.journal: list[tuple[float, dict[str, Any]]] = []
        self.tasks = [
            {"task_num": n + 1, "transaction_id": f"t{n + 1}", "prompt": f"Review part {n + 1}"}
            for n in range(n_tasks)
        ]
        self.head: dict[str, Any] = {"session_id": SESSION, "schema_version": 1, "total": n_tasks}
        self.at(0.0, "runner_started")

    def at(self, at_s: float, event: str, **fields: Any) -> None:
        """A line of the journal, ``at_s`` seconds after the begin."""
        self.journal.append((at_s, {"event": event, **fields}))

    def task(self, index: int, *spans: Sequence[Any], **fields: Any) -> None:
        """A task's attempts: (began, ended, outcome, cost); no outcome if it runs on."""
        task_id = self.tasks[index]["transaction_id"]
        total = 0.0
        for number, (began_s, ended_s, outcome, cost) in enumerate(spans, 1):
            self.at(began_s, "intent", task_id=task_id, attempt=number, conversation_id="c")
            self.at(began_s, "started", task_id=task_id, attempt=number, pid=1)
            total += cost or 0.0
            if outcome is None:
                self.tasks[index] |= {"state": "running", "status": "running"}
                continue
            last = number == len(spans)
            end = {"outcome": outcome, "reason": fields.get("reason", "completed")}
            end["cost_usd"] = total if last else cost
            self.at(ended_s, "ended" if last else "attempt_ended", task_id=task_id, **end)
            if last:
                self.tasks[index] |= {"state": "ended", "status": "completed", **end}
        self.tasks[index] |= fields

    def write(self, state: str = "completed", **head: Any) -> Snapshot:
        """Writes the folder."""
        self.journal.sort(key=lambda pair: pair[0])
        lines = [{"at": utc_iso(BEGIN_S + at_s), **line} for at_s, line in self.journal]
        (self.path / "journal.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        spent = sum(task.get("cost_usd", 0.0) for task in self.tasks)
        status = {**self.head, "overall_status": state, "state": state, "cost_usd": spent}
        status |= {"duration_s": self.journal[-1][0], **head, "tasks": self.tasks}
        (self.path / "status.json").write_text(json.dumps(status))
        return read_session(str(self.path))
