"""Reads the requests that interfaces leave in the folder that the runner was given."""

from __future__ import annotations

import os

from cpr_nb.runner import messages
from cpr_nb.store import layout, requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.runner.asking import Asking
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.rules.session_rules import SessionRules


class RequestInbox:
    """The requests of one session.

    Args:
        folder: Where they lie. Agents can't write there, unless there is no state directory.
        recorder: Journals each request before it is carried out, and knows the tasks' numbers.
        rules: What decides which tasks run; None in a session without such rules.

    Attributes:
        asking: Gets answers and messages; None in a session whose agents ask nobody.
    """

    def __init__(self, folder: str, recorder: Recorder, rules: SessionRules | None = None) -> None:
        self._folder = folder
        self._recorder = recorder
        self.asking: Asking | None = None
        self._rules = rules
        self._handled: set[str] = set()  # handled, but not removable (a read-only disk)

    def drain(self, now: float) -> Iterator[messages.Event]:
        """Yields the waiting requests as events; each is removed once its event was handled."""
        try:
            names = set(os.listdir(self._folder))
        except OSError:
            return
        self._handled &= names
        for name in sorted(names - self._handled):
            if name.startswith("."):
                continue  # one that is being written
            value = requests.read_value(self._folder, name)
            number = int(value) if value.isdecimal() else None
            self._recorder.journal("request", name=name, value=number)
            event = self._event(name, number, now)
            if event is not None:
                yield event
            elif name == layout.RUN_REST:
                if self._rules is not None:
                    self._rules.rest_asked()
            elif self.asking is not None:
                self._pass_on(self.asking, name)
            self._handled.add(name)
            requests.remove(self._folder, name)

    def _pass_on(self, asking: Asking, name: str) -> None:
        """Passes on what a person has to say to an agent."""
        text = requests.read_text(self._folder, name)
        if name.startswith(layout.ANSWER_PREFIX):
            asking.answer(name.removeprefix(layout.ANSWER_PREFIX), text)
        elif name.startswith(layout.SAY_PREFIX):
            task_id, _, _ = name.removeprefix(layout.SAY_PREFIX).partition("@")
            task = self._recorder.number(task_id)
            if task is not None:
                asking.pass_on(task, text)

    def close(self, *, has_ended: bool) -> None:
        """Removes the folder at the end of the runner.

        Args:
            has_ended: Whether the session has ended: then no other runner has a use for what lies
                there. Otherwise a request that waits is the next runner's.
        """
        requests.remove_folder(self._folder, with_requests=has_ended)

    def replay(self, names: list[str], now: float) -> Iterator[messages.Event]:
        """Yields the requests to cancel that an earlier runner read, and perhaps did not finish."""
        for name in names:
            event = self._event(name, None, now)
            if event is not None:
                yield event

    def _event(self, name: str, number: int | None, now: float) -> messages.Event | None:
        if name == layout.CANCEL:
            return messages.Cancel(now)
        if name.startswith(layout.CANCEL_TASK_PREFIX):
            task = self._recorder.number(name.removeprefix(layout.CANCEL_TASK_PREFIX))
            return None if task is None else messages.Cancel(now, task)
        if name == layout.PAUSE:
            return messages.Pause(now)
        if name == layout.RESUME:
            return messages.Resume(now)
        if name == layout.MAX_PARALLEL and number is not None:
            self._recorder.set_parallel(number)
            return messages.SetParallel(now, number)
        return None
