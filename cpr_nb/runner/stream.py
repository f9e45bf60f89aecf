"""Follows the stream of one attempt while it runs: only what is new, only whole lines.

The CLI writes its stream straight into a file. From time to time the runner reads what is new,
to notice refusals and limits before a task ends because of them, and silence. At the end it
reads the rest.
"""

from __future__ import annotations

import sys

from cpr_nb.model.activity import Activity
from cpr_nb.model.events import RunFacts, parse_line
from cpr_nb.model.json_values import number
from cpr_nb.model.limits import LOGIN, Limit, limit_of_event
from cpr_nb.model.lines import LineSplitter
from cpr_nb.runner import background
from cpr_nb.runner.kept_file import KeptFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: HTTP statuses by which the API says "not now".
REFUSALS = (429, 529)
# Every line that can matter while a task runs contains one of these.
_RELEVANT = (
    *(*background.MARKS, b'"api_retry"', b'"rate_limit_event"'),
    *(b'"control_request"', b'"control_cancel_request"'),
)


class News:
    """What is new since the last poll.

    Args:
        answered: The API answered, for the first time or for the first time after trouble.
        refused_s: How long the CLI waits since the API refused a request; None if it did not.
        limit: A limit that concerns every task, if it came after the last answer.
    """

    __slots__ = ("answered", "limit", "refused_s")

    def __init__(self) -> None:
        self.answered = False
        self.refused_s: float | None = None
        self.limit: Limit | None = None


class Stream:
    """The stream of one attempt.

    Args:
        path: Its file.
        pid: The process that writes it; 0 if there is none.
        with_tools: Whether it matters which tools run (for ``silence_s``).

    Example:
        >>> Stream("/no/such/file").poll(0.0).answered
        False

    Attributes:
        control: What the CLI asks of us, or takes back, until somebody has handled it.
        usage_windows: What the CLI last said of the account's usage windows, until somebody has
            looked at it.
    """

    __slots__ = (
        "_activity",
        "_file",
        "_lines",
        "_offset",
        "_path",
        "_trouble",
        "background",
        "control",
        "facts",
        "first_init",
        "last_output_at",
        "limit",
        "n_login_refusals",
        "retry_at",
        "usage_windows",
    )

    def __init__(self, path: str, pid: int = 0, *, with_tools: bool = False) -> None:
        self._path = path
        self._file = KeptFile(path, pid)
        self._offset = 0
        self._lines = LineSplitter()
        self._activity = Activity() if with_tools else None
        self._trouble = True  # nobody has answered yet
        self.facts = RunFacts()
        self.first_init: dict[str, Any] | None = None  # later turns begin with another one
        self.background = background.BackgroundWork()
        self.control: list[dict[str, Any]] = []
        self.last_output_at: float | None = None
        self.retry_at = 0.0  # when the CLI will ask the API again
        self.limit: Limit | None = None  # met, and not answered since
        self.usage_windows: dict[str, Any] | None = None
        self.n_login_refusals = 0  # since the last answer

    def poll(self, now: float) -> News:
        """Reads what is new.

        Args:
            now: Seconds of a clock that never goes back.
        """
        news = News()
        try:
            for chunk in self._new_chunks():
                self.last_output_at = now
                self._offset += len(chunk)
                for line in self._lines.feed(chunk):
                    self._feed(line, now, news)
        except OSError:
            pass  # someone removed it, and nobody has it open: then nothing is new
        return news

    def _new_chunks(self) -> Iterator[bytes]:
        """What was written since; ``_offset`` grows with each chunk that is used."""
        return self._file.read_from(self._offset)

    def finish(self) -> RunFacts:
        """Reads to the end, including a last line without a line feed, and closes the file."""
        self.poll(0.0)
        torn = self._lines.rest()
        if torn:
            self._feed(torn, 0.0, News())
        self.close()
        return self.facts

    def close(self) -> None:
        """Closes its file; one that someone has removed is written again."""
        try:
            self._file.close()
        except FileNotFoundError:
            pass  # its process never was, or is gone, too
        except OSError as error:  # the answer has a file of its own
            print(f"{self._path}: {error}", file=sys.stderr, flush=True)

    @property
    def is_open(self) -> bool:
        """Whether a process still has it as its output, as its lock shows."""
        return self._file.is_shared()

    @property
    def written_at_s(self) -> float | None:
        """When it was last written, in seconds since the epoch; None while it is open."""
        return self._file.written_at_s

    @property
    def busy_until(self) -> float:
        """Until when its silence is explained; infinite while a tool runs, and while it lingers."""
        tool_runs = self._activity is not None and self._activity.tool_running
        return float("inf") if tool_runs or self.background.lingers else self.retry_at

    @property
    def lingers_since(self) -> float | None:
        """Since when only commands keep its process alive; None if a model may still work."""
        return self.last_output_at if self.background.lingers else None

    def _feed(self, line: bytes, now: float, news: News) -> None:
        self.facts.feed(line)
        self.first_init = self.first_init or self.facts.init
        if any(mark in line for mark in _RELEVANT):
            event = parse_line(line)
            if event is not None:
                self._handle_event(event, now, news)
                self.background.feed(event)
                if self._activity is not None:
                    self._activity.feed(event)

    def _handle_event(self, event: dict[str, Any], now: float, news: News) -> None:
        kind = event["type"]
        if kind in ("control_request", "control_cancel_request"):
            self.control.append(event)
        if isinstance(info := event.get("rate_limit_info"), dict):
            self.usage_windows = info
        limit = limit_of_event(event)
        if limit is not None:
            self._trouble, self.limit, news.limit = True, limit, limit
            self.n_login_refusals += limit.kind == LOGIN
        if event.get("subtype") == "api_retry":
            self._trouble = True
            delay_s = (number(event.get("retry_delay_ms")) or 0.0) / 1000
            self.retry_at = now + delay_s
            if event.get("error_status") in REFUSALS:
                news.refused_s = delay_s
        elif kind == "assistant" and self._trouble and _by_a_model(event):
            self._trouble, self.limit, self.n_login_refusals = False, None, 0
            news.answered, news.limit = True, None


def _by_a_model(event: dict[str, Any]) -> bool:
    """Whether the API answered; a call that failed leaves an event of ``<synthetic>``."""
    message = event.get("message")
    return isinstance(message, dict) and message.get("model") != "<synthetic>"
