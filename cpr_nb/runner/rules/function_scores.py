"""Asks a user's function for scores, in a process of its own that is started again if it ends."""

from __future__ import annotations

import json
import os
import sys

from cpr_nb.model.environment import TOKEN_VARIABLE
from cpr_nb.model.quick_json import loads
from cpr_nb.model.scores import SCORE, SCORE_ERROR, checked_score
from cpr_nb.model.text import one_line
from cpr_nb.runner import process
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.session_spec import ChangedError
from cpr_nb.store.programs import scoring_argv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.task_run import TaskRun

    Scored = tuple[int, dict[str, Any]]

_CHUNK_BYTES = 1 << 16


class FunctionScores:
    """Asks the function about one task after the other.

    The process gets all requests at once, and replies in their order. So the first task without a
    reply is the one at which the function fails, hangs or ends its process.

    Args:
        spec: What session.json says of the score.
        effects: Knows the tasks that are under way, and where their files are.
    """

    def __init__(self, spec: dict[str, Any], effects: Effects) -> None:
        self._spec, self._effects = spec, effects
        self._asked: dict[int, bytes] = {}  # task → its request, in order
        self._helper: _Helper | None = None
        self._since: float | None = None  # when the first of them became the first
        self._known = dict(_earlier_scores(effects.starter.paths.journal))

    def known(self, task_run: TaskRun) -> dict[str, Any] | None:
        """The score that an earlier runner asked for, or None."""
        return self._known.get((task_run.task_id, task_run.number))

    def ask(self, task: int, task_run: TaskRun) -> None:
        """Asks for the score of a task."""
        request = self._request(task, task_run)
        self._asked[task] = json.dumps(request).encode() + b"\n"
        if self._helper is not None:
            self._helper.send(self._asked[task])

    def turn(self, now: float) -> Iterator[Scored]:
        """Yields the tasks that have a reply by now, with their fields.

        Args:
            now: Seconds of the loop's clock.
        """
        if self._helper is None and self._asked:
            yield from self._start()
        if self._helper is None:
            return
        self._since = now if self._since is None else self._since
        for reply in self._helper.replies():
            self._since = now
            if "failed" in reply:  # its module can't be imported any more
                yield self._first(f"can't use {self._spec['name']!r}: {reply['failed']}")
                self.close()
                return
            task = reply.get("number")
            if task in self._asked:
                why = one_line(str(reply.get("error", "the function gave no score")))
                yield self._scored(task, checked_score(self._spec, reply.get(SCORE), why))
        if self._asked and self._helper.has_ended:
            yield self._first("the function ended its process")
            self.close()
        elif self._asked and now - self._since > self._limit_s():
            yield self._first(f"the function took longer than {self._limit_s():g} s")
            self.close()
        elif not self._asked:
            self._since = None

    def close(self) -> None:
        """Ends the process; the next turn starts another one if tasks wait."""
        helper, self._helper, self._since = self._helper, None, None
        if helper is not None:
            helper.close()

    def _start(self) -> Iterator[Scored]:
        starter = self._effects.starter
        token = f"{starter.mark}score"
        try:
            cwd = self._effects.spec.session["cwd"]
            self._helper = _Helper(self._spec["name"], cwd, token, starter.paths.frame)
        except OSError as error:
            yield self._first(f"the scoring process can't be started: {error.strerror}")
            return
        for request in self._asked.values():
            self._helper.send(request)

    def _limit_s(self) -> float:
        task = next(iter(self._asked))
        return self._effects.spec.plans[task].check_timeout_s or float("inf")

    def _first(self, why: str) -> Scored:
        """The end of the task that the function was at."""
        return self._scored(next(iter(self._asked)), {SCORE_ERROR: one_line(why)})

    def _scored(self, task: int, fields: dict[str, Any]) -> Scored:
        del self._asked[task]
        task_run = self._effects.task_runs[task]
        names = {"task_id": task_run.task_id, "attempt": task_run.number}
        self._effects.recorder.journal("scored", **names, **fields)
        return task, fields

    def _request(self, task: int, task_run: TaskRun) -> dict[str, Any]:
        spec, facts = self._effects.spec, task_run.facts
        try:
            task_spec = spec.task(task)
        except ChangedError:  # it has run, and what it was asked is not known any more
            task_spec = {"id": task_run.task_id, "prompt": None}
        structure = ((facts.result if facts else None) or {}).get("structured_output")
        options = {**spec.session["options"], **task_spec.get("options", {})}
        folder = task_run.worktree.get("cwd") or options.get("cwd", spec.session["cwd"])
        is_here = "node" not in task_run.extra and os.path.isdir(folder)
        text = facts.text if facts else ""
        return {
            "number": task,
            "task_id": task_run.task_id,
            "answer": structure if spec.plans[task].schema else text,
            "prompt": task_spec["prompt"],
            "row": task_spec.get("row"),
            "factors": task_spec.get("factors") or {},
            "folder": folder if is_here else None,
        }


class _Helper:
    """The process (see `cpr_nb.frames.scoring_program`)."""

    def __init__(self, name: str, cwd: str, token: str, frame: str) -> None:
        has_frame = os.path.exists(frame)
        argv = [*scoring_argv(sys.executable), name, cwd, *(["frame"] if has_frame else [])]
        self._unsent, self._received = bytearray(), bytearray()
        self.has_ended = False
        stdin, self._in = os.pipe()
        self._out, stdout = os.pipe()
        fds = [stdin, stdout]
        try:
            fourth = os.open(frame, os.O_RDONLY) if has_frame else None
            fds += [] if fourth is None else [fourth]
            pid = process.spawn(
                argv,
                cwd=cwd,
                env={**os.environb, TOKEN_VARIABLE.encode(): token.encode()},
                stdin=stdin,
                stdout=stdout,
                stderr=2,
                fourth=fourth,
            )
        except OSError:
            fds += [self._in, self._out]
            raise
        finally:
            for fd in fds:
                os.close(fd)
        self._process = LocalProcess(pid, token)
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def send(self, request: bytes) -> None:
        """Sends a request: as much as the pipe takes now, the rest later."""
        self._unsent += request
        self._send_rest()

    def _send_rest(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._in, self._unsent[:_CHUNK_BYTES])]
        except BlockingIOError:
            pass
        except OSError:  # it has ended: `replies` notices that
            self._unsent.clear()

    def replies(self) -> Iterator[dict[str, Any]]:
        """Yields the replies that have come."""
        self._send_rest()
        try:
            while chunk := os.read(self._out, _CHUNK_BYTES):
                self._received += chunk
            self.has_ended = True
        except BlockingIOError:
            pass
        while (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            reply = loads(line)
            if isinstance(reply, dict):
                yield reply

    def close(self) -> None:
        """Ends it, and all that it has started."""
        os.close(self._in)
        os.close(self._out)
        self._process.kill_tree()


def _earlier_scores(journal: str) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    """Yields what the journal says of scores: task and attempt, and their fields."""
    try:
        with open(journal, "rb") as file:
            lines = [line for line in file if b'"scored"' in line]
    except OSError:
        return
    for line in lines:
        try:
            fields = loads(line)
        except ValueError:
            continue  # it is torn
        if isinstance(fields, dict) and fields.get("event") == "scored":
            names = str(fields.get("task_id")), int(fields.get("attempt") or 0)
            kept = {name: fields[name] for name in (SCORE, SCORE_ERROR) if name in fields}
            yield names, kept
