"""Where a fault happens: a folder, an environment, sessions in it, and a count at the end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from testkit import processes
from testkit.command import LIMIT_S, Cpr, console_script
from testkit.logins import with_helper
from testkit.stub import Stub

import cpr_nb as cpr
from cpr_nb.model.errors import ClaudeNotFound, LaunchError
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.store.programs import find_claude
from cpr_nb.store.state_dir import VARIABLE as STATE_DIR
from faults import killer
from faults.judge import judge, read_log, wrapper
from faults.table import CannotInjectError, Tally

NOBODY = "http://127.0.0.1:9"


class World:
    """One fault's surroundings.

    Args:
        folder: Everything is in it.
        token: What marks all its processes.
        claude: The real CLI; None if there is none.
        points: How many kill points are wanted.
        first: The seed of the first one.
    """

    def __init__(
        self, folder: Path, token: str, claude: str | None, points: int = 4, first: int = 0
    ) -> None:
        self.folder, self.token, self.points, self.first = folder, token, points, first
        self.work = folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self._claude = claude
        self._api: ScriptedApi | None = None
        self._stub: Stub | None = None
        self._locks: dict[str, int] = {}
        self._doors: list[int] = []
        self._n_shims = 0
        self.subscription = False
        self.has_helper = False  # which prints the key, so that a login may come back

    def __enter__(self) -> Self:
        """This process has the state directory of the commands that it runs."""
        self._old_state_dir = os.environ.get(STATE_DIR)
        os.environ[STATE_DIR] = str(self.folder / "home" / ".local" / "state" / "cpr")
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is left of it, however it went."""
        os.environ.pop(STATE_DIR, None)
        if self._old_state_dir is not None:
            os.environ[STATE_DIR] = self._old_state_dir
        for name in list(self._locks):
            self.release(name)
        while self._doors:
            os.close(self._doors.pop())
        for pid in processes.survivors(self.token):
            processes.end(pid)
        if self._api is not None:
            self._api.close()

    # -- environments -----------------------------------------------------------------------

    @property
    def stub(self) -> Stub:
        """The stand-in for the CLI."""
        if self._stub is None:
            self._stub = Stub(self.folder / "stub")
        return self._stub

    @property
    def api(self) -> ScriptedApi:
        """The API that the real CLI meets."""
        if self._api is None:
            self._api = ScriptedApi(log_path=self._api_log)
        return self._api

    @property
    def _api_log(self) -> Path:
        return self.folder / "api.jsonl"

    def run(self, inject: Callable[[World], Tally]) -> Tally:
        """Puts a fault in; the API's own log says whether a task was at work or paid for twice."""
        tally = inject(self)
        if self._api is not None:
            faults = judge(read_log(self._api_log))
            tally.twice += len(faults)
            tally.wrong += faults
        return tally

    def stub_env(self) -> dict[str, str]:
        """An environment with the stub as the CLI."""
        return {**self._env(NOBODY), "CPR_CLAUDE": str(self.stub)}

    def real_env(self) -> dict[str, str]:
        """The only environment in which the real CLI is started."""
        if self._claude is None:
            raise CannotInjectError("there is no real CLI here")
        marking = self.folder / "claude"
        if not marking.exists():
            marking.write_text(wrapper(self._claude))
            marking.chmod(0o755)
        env = {**self._env(self.api.url), "CPR_CLAUDE": str(marking)}
        return with_helper(env) if self.has_helper else env

    @property
    def has_cli(self) -> bool:
        """Whether there is a real CLI."""
        return self._claude is not None

    def _env(self, url: str) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        path = f"{Path(console_script()).parent}{os.pathsep}/usr/local/bin{os.pathsep}{os.defpath}"
        env = cli_environment(url, home, path=path, subscription=self.subscription)
        return {**env, processes.TOKEN: self.token}

    def command(self, env: dict[str, str]) -> Cpr:
        """The installed command."""
        return Cpr(self.work, env)

    # -- what the stub's tasks wait for -----------------------------------------------------

    def hold(self, name: str) -> None:
        """Tasks with this ``lock`` wait until `release`."""
        fd = os.open(self.stub.folder / f"lock-{name}", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self._locks[name] = fd

    def release(self, name: str) -> None:
        """Lets them continue; once is enough."""
        fd = self._locks.pop(name, None)
        if fd is not None:
            os.close(fd)

    def door(self, name: str) -> int:
        """A descriptor from which the ids of the stub's tasks with this ``here`` can be read.

        Unlike `Stub.await_here` it keeps no task waiting that comes when nobody looks.
        """
        path = self.stub.folder / f"here-{name}"
        if not path.exists():
            os.mkfifo(path)
        self._doors.append(os.open(path, os.O_RDWR))
        return self._doors[-1]

    def await_at(self, door: int) -> str:
        """Waits until a task is there; returns its id."""
        line = b""
        while not line.endswith(b"\n"):  # byte by byte: another one may stand behind it
            if not select.select([door], [], [], LIMIT_S)[0]:
                raise AssertionError("no task came to the door")
            line += os.read(door, 1)
        return line.decode().strip()

    # -- sessions ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def inside(self, env: dict[str, str], spec: dict[str, Any] | None = None) -> Iterator[None]:
        """Makes this process one in that environment, for the library.

        Args:
            env: Its whole environment.
            spec: Where a runner that is started meanwhile is killed (see `faults.killer`).
        """
        old_env, old_cwd, old_python = dict(os.environ), Path.cwd(), sys.executable
        try:
            os.environ.clear()
            os.environ.update(env)
            os.chdir(self.work)
            if spec is not None:
                sys.executable = self._shim(spec)
            yield
        finally:
            sys.executable = old_python
            os.chdir(old_cwd)
            os.environ.clear()
            os.environ.update(old_env)

    def _shim(self, spec: dict[str, Any]) -> str:
        """A Python that runs a runner under the killer."""
        file = self.folder / f"python-{self._n_shims + 1}.json"
        file.write_text(json.dumps(spec))
        return self._python(killer.__file__, file)

    @contextlib.contextmanager
    def python(self, program: str | os.PathLike[str], file: Path) -> Iterator[None]:
        """Runners that are started meanwhile run under this program, which reads the file."""
        old_python, sys.executable = sys.executable, self._python(program, file)
        try:
            yield
        finally:
            sys.executable = old_python

    def _python(self, program: str | os.PathLike[str], file: Path) -> str:
        self._n_shims += 1
        path = self.folder / f"python-{self._n_shims}"
        path.write_text(
            "#!/bin/sh\n"
            'case "$5" in */runner/__main__.py) ;; *) echo "not a runner: $*" >&2; exit 1 ;; esac\n'
            "shift 4\n"
            f"exec '{sys.executable}' -I -S -X utf8 '{os.fspath(program)}' '{file}' \"$@\"\n"
        )
        path.chmod(0o755)
        return str(path)

    def launch(
        self,
        env: dict[str, str],
        prompts: Sequence[Any],
        spec: dict[str, Any] | None = None,
        **options: Any,
    ) -> cpr.Session:
        """Starts a session."""
        with self.inside(env, spec):
            return cpr.launch(prompts, results_dir=str(self.folder / "results"), **options)

    def resume(
        self, env: dict[str, str], session: cpr.Session, spec: dict[str, Any] | None = None
    ) -> bool:
        """Resumes it; returns False if the killer struck before the runner was up."""
        with self.inside(env, spec):
            try:
                session.resume()
            except LaunchError:
                if spec is None:
                    raise
                return False
        return True

    def finish(self, env: dict[str, str], session: cpr.Session) -> None:
        """Resumes it and waits for its end."""
        self.resume(env, session)
        session.wait(LIMIT_S)
        await_gone(session)

    def left(self) -> str:
        """What still runs."""
        return "; ".join(processes.survivors(self.token).values())


def find_real_cli() -> str | None:
    """The real CLI, or None."""
    try:
        return find_claude(None, os.environ)
    except ClaudeNotFound:
        return None


# -- runners --------------------------------------------------------------------------------


def runner_pid(session: cpr.Session) -> int:
    """The pid of a session's runner."""
    return int(json.loads((session.path / "runner.json").read_bytes())["pid"])


def await_gone(session: cpr.Session) -> None:
    """Waits until no runner works on it."""
    processes.await_lock(session.path / "runner.lock")


def kill_runner(session: cpr.Session) -> None:
    """SIGKILL, as the kernel does when memory is short."""
    os.kill(runner_pid(session), signal.SIGKILL)
    await_gone(session)


def journal(session: cpr.Session, event: str) -> list[dict[str, Any]]:
    """The lines of a session's journal that tell of such an event."""
    found = []
    for data in (session.path / "journal.jsonl").read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(data)
            if isinstance(line, dict) and line.get("event") == event:
                found.append(line)
    return found


# -- counting -------------------------------------------------------------------------------


def count(session: cpr.Session, answers: dict[str, str], ran: Counter[str]) -> Tally:
    """What became of a session's tasks.

    Args:
        session: It has ended.
        answers: Task id → the answer that it must have given.
        ran: Task id → how often it did what it does.
    """
    tally = Tally("", tasks=len(answers))
    session.refresh()
    found = {task.id: task for task in session}
    for task_id, answer in answers.items():
        task = found.get(task_id)
        text = session.path / f"task-{task_id}.txt"
        answer_text = text.read_text() if text.is_file() else None
        if task is None or task.outcome != "succeeded" or answer_text != f"{answer}\n":
            tally.lost += 1
            end = task and (task.outcome, task.reason, task.error)
            tally.wrong.append(f"{task_id} ended as {end}, its answer is {answer_text!r}")
        if ran[task_id] != 1:
            tally.twice += ran[task_id] > 1
            tally.wrong.append(f"{task_id} ran {ran[task_id]} times")
    head = session.head
    n_ended = sum(1 for task in session if task.outcome is not None)
    counts = [head.get(f"n_{what}") for what in ("succeeded", "running", "pending")]
    good = sum(1 for task in session if task.outcome == "succeeded")
    tally.expect(counts == [good, 0, len(session) - n_ended], f"counters {counts}, {good} good")
    tally.expect(head.get("completed") == n_ended, f"completed: {head.get('completed')}")
    tally.expect(head.get("successful") == good, f"successful: {head.get('successful')}")
    for name in ("cost_usd", "input_tokens", "output_tokens"):
        values = [task.fields.get(name) for task in session]
        total = sum(value for value in values if value is not None)
        tally.expect(
            abs((head.get(name) or 0) - total) < 1e-6, f"{name}: {head.get(name)}, {total}"
        )
    leftovers = [path.name for path in session.path.glob("*.tmp")]
    tally.expect(not leftovers, f"left in the folder: {leftovers}")
    return tally


def stub_calls(world: World) -> Counter[str]:
    """How often the stub was called for each task."""
    names = [file.name for file in (world.stub.folder / "calls").iterdir()]
    return Counter(name.partition(".")[0] for name in names if not name.endswith(".tmp"))
