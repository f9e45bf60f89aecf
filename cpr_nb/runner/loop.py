"""Performs what the state machine decides: the runner's only loop, one thread, no busy wait."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque

from cpr_nb.model import states
from cpr_nb.model.outcome import Exit, Outcome, one_line
from cpr_nb.runner import messages, process, schedule
from cpr_nb.runner.attempt import Attempt, Starter, asked_again, terminate
from cpr_nb.runner.recorder import Recorder
from cpr_nb.store import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.runner.asked import Asked

# How often the folder of requests is looked at. A request is a person's click.
_REQUESTS_EVERY_S = 0.2
_IDENTIFY_AFTER_S = 0.02
# How often what ended tasks left behind is swept up: one look serves all that ended since.
_SWEEP_EVERY_S = 1.0


class Loop:
    """Works through one session.

    Args:
        paths: The session's paths.
        asked: What was asked.
        environ: The environment that tasks inherit, encoded.
        task_env: Task id → variables of its own.
        runner: What runner.json says of this process.
    """

    def __init__(
        self,
        paths: layout.SessionPaths,
        asked: Asked,
        environ: dict[bytes, bytes],
        task_env: dict[str, dict[str, str]],
        runner: dict[str, Any],
    ) -> None:
        self._paths = paths
        self._asked = asked
        self._recorder = Recorder(paths, asked.head, asked.read_tasks(), runner)
        self._starter = Starter(paths, asked.head, environ, task_env)
        self._schedule = schedule.Schedule(
            asked.plans,
            max_parallel=asked.head["max_parallel"],
            new_id=new_uuid,
            chance=_chance,
            budget_usd=asked.head["options"].get("budget_usd"),
        )
        self._attempts: dict[int, Attempt] = {}  # by pid
        self._by_task: dict[int, Attempt] = {}
        self._began: dict[int, float] = {}  # when the first attempt of a task began
        self._ids: dict[int, str] = {}  # of tasks between their intent and their end
        self._ended: dict[int, tuple[Exit, RunFacts | None, float, dict[str, Any]]] = {}
        self._git: tuple[int, int] | None = None  # pid, output
        self._unidentified: list[Attempt] = []
        self._leftovers: list[str] = []
        self._next_sweep_at = 0.0
        self._next_requests_at = 0.0
        self._more_to_reap = False
        self._done = False

    def run(self) -> None:
        """Runs until every task has ended."""
        wakeup = _wake_on_child()
        poller = select.poll()
        poller.register(wakeup, select.POLLIN)
        self._handle(messages.Tick(time.monotonic()))
        self._git = _ask_git(self._asked.head["cwd"])
        while not self._done:
            self._recorder.flush(time.monotonic())
            poller.poll(self._timeout_ms())
            _drain(wakeup)
            self._reap()
            self._identify()
            now = time.monotonic()
            self._read_requests(now)
            self._handle(messages.Tick(now))
            self._sweep(now)

    def abort(self, error: str) -> None:
        """The runner can't go on: ends what runs and says why."""
        for attempt in self._attempts.values():
            attempt.kill_tree()
        for task in range(self._asked.n_tasks):
            phase = self._schedule.phase(task)
            if phase != schedule.ENDED:
                began = phase != schedule.PENDING
                outcome = states.FAILED if began else states.SKIPPED
                end = Outcome(outcome, "unknown", f"the runner failed: {error}")
                try:
                    self._finish(messages.Finish(task, end))
                except (OSError, ValueError):
                    continue  # what made us fail may be in the way of this too
        self._recorder.end(states.ERROR, error)

    # -- time -------------------------------------------------------------------------------

    def _timeout_ms(self) -> float:
        if self._more_to_reap:
            return 0
        now = time.monotonic()
        waits = [self._next_requests_at - now]
        if self._unidentified:
            waits.append(_IDENTIFY_AFTER_S)
        flush_s = self._recorder.flush_due_s(now)
        if flush_s is not None:
            waits.append(flush_s)
        if self._schedule.next_at is not None:
            waits.append(self._schedule.next_at - now)
        return max(0.0, min(waits)) * 1000 + 1  # poll() counts in whole milliseconds

    # -- what happened ----------------------------------------------------------------------

    def _handle(self, event: messages.Event) -> None:
        events = deque([event])
        while events:
            for instruction in self._schedule.handle(events.popleft()):
                follow_up = self._perform(instruction)
                if follow_up is not None:
                    events.append(follow_up)

    def _reap(self) -> None:
        """Takes the children that have ended; not for ever, for each end starts another child."""
        self._more_to_reap = False
        while not self._more_to_reap:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            attempt = self._attempts.pop(pid, None)
            if attempt is not None:
                self._take_end(attempt, status, usage.ru_maxrss)
                self._more_to_reap = time.monotonic() >= self._next_requests_at
            elif self._git is not None and pid == self._git[0]:
                self._take_git(status)

    def _take_end(self, attempt: Attempt, status: int, max_rss: int) -> None:
        now = time.monotonic()
        del self._by_task[attempt.task]
        if attempt.stopped:
            attempt.kill_tree()
        else:
            self._leftovers.append(attempt.token)
        exit_, facts = attempt.collect(status)
        rss_unit = 1024 if process.LINUX else 1  # macOS counts bytes
        extra = {"peak_rss_bytes": max_rss * rss_unit}
        if facts.claude_version and "claude_version" not in self._recorder.runner:
            self._recorder.write_runner(claude_version=facts.claude_version)
        self._ended[attempt.task] = (exit_, facts, now - self._began[attempt.task], extra)
        self._handle(messages.Ended(now, attempt.task, exit_, facts.cost_usd))

    def _identify(self) -> None:
        """Journals what tells a process from a later one with the same pid.

        Not at the start itself: the kernel lets nobody look at a process while it executes
        its program, and to wait for that would be the dearest part of starting it.
        """
        for attempt in self._unidentified:
            if attempt.pid in self._attempts:
                start_time = process.start_time(attempt.pid)
                self._recorder.journal(
                    "identity", task_id=attempt.task_id, pid=attempt.pid, start_time=start_time
                )
        self._unidentified.clear()

    def _read_requests(self, now: float) -> None:
        if now < self._next_requests_at:
            return
        self._next_requests_at = now + _REQUESTS_EVERY_S
        try:
            names = os.listdir(self._paths.requests)
        except OSError:
            return
        for name in names:
            self._take_request(name, now)

    def _take_request(self, name: str, now: float) -> None:
        if name.startswith("."):
            return  # one that is being written
        self._recorder.journal("request", name=name)
        if name == layout.CANCEL:
            self._handle(messages.Cancel(now))
        elif name.startswith(layout.CANCEL_TASK_PREFIX):
            task = self._asked.number(name.removeprefix(layout.CANCEL_TASK_PREFIX))
            if task is not None:
                self._handle(messages.Cancel(now, task))
        try:
            os.unlink(self._paths.request(name))
        except OSError:
            pass

    # -- what to do -------------------------------------------------------------------------

    def _perform(self, instruction: messages.Instruction) -> messages.Event | None:
        if isinstance(instruction, messages.Start):
            return self._start(instruction)
        if isinstance(instruction, messages.Finish):
            self._finish(instruction)
        elif isinstance(instruction, messages.Rest):
            self._rest(instruction)
        elif isinstance(instruction, messages.Stop):
            attempt = self._by_task[instruction.task]
            attempt.stopped = True
            self._recorder.journal("stop", task_id=attempt.task_id, cause=instruction.cause)
            terminate(attempt)
        elif isinstance(instruction, messages.Kill):
            self._by_task[instruction.task].kill_tree()
        elif isinstance(instruction, messages.Listen):
            now = time.monotonic()
            heard = self._by_task[instruction.task].listen(now)
            return messages.Heard(now, instruction.task, *heard)
        elif isinstance(instruction, messages.End):
            self._end(instruction.state)
        return None

    def _start(self, start: messages.Start) -> messages.Event:
        task, number = start.task, start.attempt
        asked = self._asked.task(task)
        task_id = self._ids[task] = asked["id"]
        conversation_id, words = start.conversation_id, ""
        if start.resume:
            if self._starter.has_conversation(task_id, conversation_id):
                words = asked_again(start.resume)
            else:
                conversation_id = new_uuid()
        self._recorder.intent(task_id, number, conversation_id)
        now = time.monotonic()
        try:
            attempt = self._starter.start(task, asked, number, conversation_id, words, now)
        except OSError as error:
            exit_ = Exit(spawn_error=one_line(f"{error.strerror}: {error.filename}"))
            self._ended[task] = (exit_, None, 0.0, {})
            return messages.Ended(now, task, exit_)
        pid = attempt.pid
        self._attempts[pid] = self._by_task[task] = attempt
        self._began.setdefault(task, now)
        self._unidentified.append(attempt)
        self._recorder.started(task, task_id, number, conversation_id, pid)
        return messages.Started(now, task)

    def _rest(self, rest: messages.Rest) -> None:
        exit_, facts, duration_s, _ = self._ended.pop(rest.task)
        self._recorder.resting(
            rest.task, self._ids[rest.task], rest.outcome, exit_, facts, duration_s, rest.delay_s
        )

    def _finish(self, finish: messages.Finish) -> None:
        exit_, facts, duration_s, extra = self._ended.pop(finish.task, (None, None, 0.0, {}))
        task_id = self._ids.pop(finish.task, None) or self._asked.task(finish.task)["id"]
        self._recorder.ended(finish.task, task_id, finish.outcome, exit_, facts, duration_s, extra)

    def _sweep(self, now: float) -> None:
        if self._leftovers and now >= self._next_sweep_at:
            self._next_sweep_at = now + _SWEEP_EVERY_S
            process.sweep(self._leftovers)
            self._leftovers.clear()

    def _end(self, state: str) -> None:
        process.sweep(self._leftovers)
        self._leftovers.clear()
        if self._git is not None:
            self._take_git(_wait_or_kill(self._git[0]))
        self._recorder.end(state)
        self._done = True

    # -- git --------------------------------------------------------------------------------

    def _take_git(self, status: int) -> None:
        assert self._git is not None  # noqa: S101 - for the type checker
        fd = self._git[1]
        self._git = None
        os.lseek(fd, 0, os.SEEK_SET)
        lines = os.read(fd, 4096).decode("ascii", "replace").split()
        os.close(fd)
        if status == 0 and len(lines) == 2:
            self._recorder.write_runner(git_commit=lines[0], git_tree=lines[1])


def new_uuid() -> str:
    """A random UUID (version 4), without the module of that name (1.3 MB)."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    digits = data.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _chance() -> float:
    """A number from 0 to 1, without the module random (2 MB)."""
    return int.from_bytes(os.urandom(4)) / (1 << 32)


def _wait_or_kill(pid: int) -> int:
    """The wait status of a child that should be done by now; it does not keep us for ever."""
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    process.signal_process(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _ask_git(cwd: str) -> tuple[int, int] | None:
    """Asks git which commit the work starts from; it answers while the tasks run."""
    fd = process.open_prompt(b"")
    null = os.open(os.devnull, os.O_RDWR)
    try:
        argv = ["git", "rev-parse", "HEAD", "HEAD^{tree}"]
        env = {**os.environb, b"GIT_OPTIONAL_LOCKS": b"0"}
        pid = process.spawn(argv, cwd=cwd, env=env, stdin=null, stdout=fd, stderr=null)
    except OSError:  # no git here
        os.close(fd)
        return None
    finally:
        os.close(null)
    return pid, fd


def _wake_on_child() -> int:
    """A descriptor that becomes readable when a child ends."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    # A handler, not SIG_IGN: what is ignored stays ignored in our children.
    signal.signal(signal.SIGCHLD, _nothing)
    signal.signal(signal.SIGHUP, _nothing)
    return read_fd


def _nothing(_number: int, _frame: object) -> None:
    pass


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass
