"""The live view of 1,000 tasks in a real JupyterLab, ten changes per second."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lab import Lab, SkippedError
from benchmarks.report import Comparison, figure
from cpr_nb.model import outcome, record, states
from cpr_nb.model.record import first_head
from cpr_nb.store.times import utc_iso
from cpr_nb.store.write import StatusWriter

_TESTKIT = Path(__file__).resolve().parents[1] / "tests"
_N_TASKS, _QUICK_N_TASKS = 1000, 60
_AT_ONCE = 15
_TICKS_PER_S = 10
_SECONDS, _QUICK_SECONDS = 10, 2
# Measures the CPU time of the kernel's thread per tick.
_CELL = """\
import time
import cpr_nb as cpr
from cpr_nb.display.live import LiveView
ticks_s, tick = [], LiveView.tick
def timed(self):
    began = time.thread_time()
    again = tick(self)
    ticks_s.append((time.time(), time.thread_time() - began))
    return again
LiveView.tick = timed
cpr.attach({path!r})
"""


class Figures(NamedTuple):
    """One round: bytes and kernel seconds per tick, the browser's busy seconds per second."""

    n_bytes: float
    kernel_s: float
    busy: float


def measure_live_view(lab: Lab) -> Iterator[Comparison]:
    """What a tick costs the kernel and the browser; there are ten ticks per second."""
    for name in ("playwright", "jupyterlab"):
        if importlib.util.find_spec(name) is None:
            raise SkippedError(f"{name} is not installed: pip install -e '.[test]'")
    sys.path.insert(0, str(_TESTKIT))
    from testkit.jupyter import Browser, Server, chromium

    if chromium() is None:
        raise SkippedError("there is no chromium on PATH")
    n_tasks = _QUICK_N_TASKS if lab.quick else _N_TASKS
    folder = lab.fresh("lab")
    env = {**lab.environment, "JUPYTER_PREFER_ENV_PATH": "1"}
    server = Server(folder, env)
    rounds = []
    try:
        browser = Browser(folder / "profile")
        try:
            for number in range(lab.rounds):
                work = _Work(lab.fresh("results"), n_tasks)
                seconds = _QUICK_SECONDS if lab.quick else _SECONDS
                rounds.append(_measure(server, browser, f"view{number}.ipynb", work, seconds))
        finally:
            browser.close()
    finally:
        server.close()
    label = f"live view, {n_tasks} tasks, {_AT_ONCE + 1} rows per tick"
    yield figure(f"{label}: sent", [r.n_bytes / 1000 for r in rounds], unit="kB", limit=2)
    yield figure(f"{label}: kernel", [r.kernel_s * 1000 for r in rounds], unit="ms", limit=0.8)
    yield figure(f"{label}: browser", [r.busy * 1000 for r in rounds], unit="ms/s", limit=150)


def _measure(server: Any, browser: Any, name: str, work: _Work, seconds: int) -> Figures:
    from testkit.jupyter import Notebook

    cells = [_CELL.format(path=str(work.root)), "import json\nprint(json.dumps(ticks_s))"]
    notebook = Notebook(server, browser, name, cells)
    try:
        page = notebook.page
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        devtools.send("Network.enable")
        received = [0]

        def count_bytes(frame: dict[str, Any]) -> None:
            received[0] += len(frame["response"]["payloadData"].encode())

        notebook.run(0).locator(".cpr-grid .cpr-row").first.wait_for()
        work.tick()
        page.wait_for_timeout(5000)  # until the first rows have settled
        devtools.on("Network.webSocketFrameReceived", count_bytes)
        before, began, began_at = _busy_s(devtools), time.monotonic(), time.time()
        for number in range(seconds * _TICKS_PER_S):
            work.tick()
            left_s = began + (number + 1) / _TICKS_PER_S - time.monotonic()
            page.wait_for_timeout(max(0.0, left_s * 1000))
        busy = (_busy_s(devtools) - before) / (time.monotonic() - began)
        n_bytes = received[0] / (seconds * _TICKS_PER_S)
        text = notebook.run(1).inner_text()
        ticks = json.loads(text[text.index("[") :])
        spent_s = sum(spent_s for at, spent_s in ticks if at >= began_at)
        return Figures(n_bytes, spent_s / (seconds * _TICKS_PER_S), busy)
    finally:
        notebook.close()
        work.close()


def _busy_s(devtools: Any) -> float:
    """How long the page's main thread has been busy."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


class _Work:
    """Writes a session as its runner and its agents would, at our pace."""

    def __init__(self, results: Path, n_tasks: int) -> None:
        session_id = str(uuid.uuid4())
        self.root = results / f"session-{session_id}"
        self.root.mkdir()
        self._lock = (self.root / "runner.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        spec = {
            "session_id": session_id,
            "start_time": int(time.time()),
            "created_at": utc_iso(time.time()),
            "cwd": str(results),
            "max_parallel": _AT_ONCE,
            "executor": "local",
        }
        self._bases = [
            record.base_fields(n + 1, f"task-{n:04}", f"Label ticket {9000 + n}")
            for n in range(n_tasks)
        ]
        head = first_head(spec, n_tasks)
        head |= {"state": states.RUNNING, "started_at": utc_iso(time.time()), "cost_usd": 0.0}
        self._writer = StatusWriter(str(self.root / "status.json"), head, self._bases)
        self._n_ticks = 0
        self._first = 0  # the task that ends next
        self._running: dict[int, dict[str, Any]] = {}
        for number in range(_AT_ONCE):
            self._start(number)
        self._write()

    def _stream(self, number: int) -> Path:
        return self.root / f"task-task-{number:04}.jsonl"

    def _start(self, number: int) -> None:
        fields = record.running_fields(1, str(uuid.uuid4()), utc_iso(time.time()))
        self._running[number] = fields
        self._writer.set_task(number, fields)

    def tick(self) -> None:
        """Ends one task and starts another; all running tasks call another tool."""
        self._n_ticks += 1
        running = self._running.pop(self._first)
        ended = record.ended_fields(
            running,
            outcome.Outcome(states.SUCCEEDED, "completed"),
            outcome.Exit(0),
            None,
            ended_at=utc_iso(time.time()),
            duration_s=1.5,
            extra={"cost_usd": 0.031},
        )
        (self.root / f"task-task-{self._first:04}.txt").write_text("2 bugs, severity high\n")
        self._writer.set_task(self._first, ended)
        self._start(self._first + _AT_ONCE)
        self._first += 1
        for number in self._running:
            call = {"command": f"pytest tests/test_{number}.py -k case_{self._n_ticks}"}
            tool = {"type": "tool_use", "id": str(self._n_ticks), "name": "Bash", "input": call}
            event = {"type": "assistant", "timestamp": utc_iso(time.time())}
            with self._stream(number).open("a") as stream:
                stream.write(json.dumps({**event, "message": {"content": [tool]}}) + "\n")
        self._write()

    def _write(self) -> None:
        head = self._writer.head
        head["n_succeeded"], head["n_running"] = self._first, len(self._running)
        head["n_pending"] = self._writer.n_tasks - self._first - len(self._running)
        head["cost_usd"] = round(0.031 * self._first, 4)
        self._writer.write()

    def close(self) -> None:
        """Releases the lock, as if the runner had ended."""
        self._lock.close()
