"""Every path in a results directory, each made here and nowhere else.

Paths are plain strings: the runner loads this module, and ``pathlib`` would cost it 1 MB.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SESSION_PREFIX = "session-"
#: A session's folder has this prefix until it is complete, so that no reader sees half of it.
NEW_PREFIX = ".new-session-"
#: In the results directory, so that it never makes a checkout dirty.
GITIGNORE = ".gitignore"
#: Also in the results directory: caches. Anybody may delete it.
CACHE = ".cache"

#: The logs of node agents whose machine sees the session's folder begin so.
NODE_LOG_PREFIX = "node-"

# Requests: files in a folder of their own.
CANCEL = "cancel"
CANCEL_TASK_PREFIX = "cancel-"
PAUSE = "pause"
RESUME = "go-on"
MAX_PARALLEL = "max-parallel"
RUN_REST = "run-rest"
ANSWER_PREFIX = "answer-"
SAY_PREFIX = "say-"


class SessionPaths:
    """All paths of one session.

    Args:
        root: The session's folder.

    Example:
        >>> SessionPaths("/r/session-1").stream("docs", attempt=2)
        '/r/session-1/task-docs@2.jsonl'
    """

    __slots__ = ("root",)

    def __init__(self, root: str) -> None:
        self.root = root

    @property
    def status(self) -> str:
        """The status of the session and its tasks; written by the runner only."""
        return f"{self.root}/status.json"

    @property
    def session(self) -> str:
        """The spec of the session; written once."""
        return f"{self.root}/session.json"

    @property
    def frame(self) -> str:
        """The table whose rows the tasks are about; written once."""
        return f"{self.root}/frame.json"

    @property
    def forecasts(self) -> str:
        """The forecasts that were shown of it, one a line; append-only."""
        return f"{self.root}/forecasts.jsonl"

    @property
    def runner(self) -> str:
        """The runner that works on it."""
        return f"{self.root}/runner.json"

    @property
    def journal(self) -> str:
        """Every transition of a task; append-only."""
        return f"{self.root}/journal.jsonl"

    @property
    def lock(self) -> str:
        """Held while a runner lives."""
        return f"{self.root}/runner.lock"

    def claim(self, number: int) -> str:
        """Somebody's claim to the session, whose runner could not be seen; see `store.claims`."""
        return f"{self.root}/owner.{number}"

    def clock(self, who: str) -> str:
        """A file that is made and removed at once, to read the clock of the file system."""
        return f"{self.root}/.now-{who}"

    @property
    def join(self) -> str:
        """With it a node agent joins the session; it holds keys, and is removed at the end."""
        return f"{self.root}/join.json"

    @property
    def hub_key(self) -> str:
        """The hub's own keys and port, which the next hub goes on with; removed at the end."""
        return f"{self.root}/hub.key"

    @property
    def log(self) -> str:
        """The runner's own log."""
        return f"{self.root}/runner.log"

    @property
    def requests(self) -> str:
        """The folder in which interfaces leave requests where there is no state directory."""
        return f"{self.root}/requests"

    @property
    def next_sessions(self) -> str:
        """The folder that names the sessions which are planned to start after this one."""
        return f"{self.root}/next"

    def next_session(self, session_id: str) -> str:
        """The empty file that names one of them."""
        return f"{self.root}/next/{session_id}"

    @property
    def notices(self) -> str:
        """The folder with what became of each notice; there is one as soon as one is due."""
        return f"{self.root}/notices"

    def notice(self, kind: str) -> str:
        """What became of one notice, one line a try; empty before the first."""
        return f"{self.root}/notices/{kind}.jsonl"

    def answer(self, task_id: str) -> str:
        """The answer as a person reads it."""
        return f"{self.root}/task-{task_id}.txt"

    def stream(self, task_id: str, attempt: int = 1) -> str:
        """The events, stream-json as the CLI wrote it."""
        return f"{self.root}/task-{task_id}{_suffix(attempt)}.jsonl"

    def newest_stream(self, task: dict[str, Any]) -> str:
        """The stream of a task's newest attempt.

        Args:
            task: Its fields in status.json.

        Example:
            >>> SessionPaths("/r/session-1").newest_stream({"transaction_id": "a", "attempts": 2})
            '/r/session-1/task-a@2.jsonl'
        """
        attempts = task.get("attempts")
        task_id = str(task.get("transaction_id", ""))
        return self.stream(task_id, attempts if isinstance(attempts, int) else 1)

    def stderr(self, task_id: str, attempt: int = 1) -> str:
        """The CLI's stderr; removed when empty."""
        return f"{self.root}/task-{task_id}{_suffix(attempt)}.err"

    def process_stream(self, number: int) -> str:
        """The stream of a process that serves several tasks; removed when the process has ended."""
        return f"{self.root}/process-{number}.jsonl"

    def process_stderr(self, number: int) -> str:
        """The stderr of that process."""
        return f"{self.root}/process-{number}.err"

    def check(self, task_id: str) -> str:
        """The output of the user's check."""
        return f"{self.root}/task-{task_id}.check.log"

    def worktree(self, task_id: str) -> str:
        """How far the task's worktree has come."""
        return f"{self.root}/task-{task_id}.worktree.json"

    def setup(self, task_id: str) -> str:
        """The output of the worktree's set-up."""
        return f"{self.root}/task-{task_id}.setup.log"

    def bundle(self, task_id: str) -> str:
        """The task's work as it came from a node that does not have the repository."""
        return f"{self.root}/task-{task_id}.bundle"

    def parcel(self, task_id: str) -> str:
        """What goes along with the task to a node that does not have the repository."""
        return f"{self.root}/.parcel-{task_id}.tar"

    def patch(self, task_id: str) -> str:
        """What the task's branch changes, as a patch; missing if it changes nothing."""
        return f"{self.root}/task-{task_id}.patch"


def attempt_of(name: str) -> tuple[str, int] | None:
    """The task and the attempt whose stream has this name; None if it is not a stream.

    Example:
        >>> attempt_of("task-docs.jsonl"), attempt_of("task-docs@2.jsonl"), attempt_of("x")
        (('docs', 1), ('docs', 2), None)
    """
    if not (name.startswith("task-") and name.endswith(".jsonl")):
        return None
    task_id, mark, number = name[5:-6].partition("@")
    if mark and not (number.isdecimal() and len(number) < 10):
        return None
    return task_id, int(number or 1)


def process_of(name: str) -> int | None:
    """The number of the shared process whose stream has this name; None if it is not one.

    Example:
        >>> process_of("process-3.jsonl"), process_of("process-3.err"), process_of("task-3.jsonl")
        (3, None, None)
    """
    number = name[8:-6] if name.startswith("process-") and name.endswith(".jsonl") else ""
    return int(number) if number.isdecimal() and len(number) < 10 else None


def _suffix(attempt: int) -> str:
    return "" if attempt <= 1 else f"@{attempt}"
