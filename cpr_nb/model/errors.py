"""Every exception that cpr_nb raises on purpose.

The tree::

    CprError
    ├── InputError (ValueError)         bad prompts or options; nothing was spent or created
    │   ├── UnknownOption               with the most similar valid names
    │   └── NotTrusted                  the repository says what to run, and nobody trusts it yet
    ├── ClaudeNotFound                  no Claude Code CLI
    ├── ResultsDirError (OSError)       the results directory cannot be used
    ├── LaunchError                     the runner did not start
    ├── SessionError
    │   ├── SessionNotFound (LookupError)
    │   ├── AmbiguousSession (LookupError)
    │   └── SessionNotUsable            it exists, but does not allow this operation
    │       └── ForeignSession          this user has not launched it on this machine
    ├── StateDirError (OSError)         the state directory or the key in it can't be used
    ├── TaskNotFound (LookupError)
    ├── StatsMissing (ImportError)      SciPy is not installed, so there are no intervals
    ├── WorktreeError                   git can't do this, or it would lose work
    ├── WaitTimeout (TimeoutError)      wait() gave up; the work continues
    ├── SessionInterrupted              the runner ended before its tasks did
    ├── AnswerError (ValueError)        an answer does not fit the Python type of its schema
    └── TaskError                       a task ended, but did not succeed
        ├── TaskFailed
        ├── TaskTimedOut
        ├── TaskCancelled
        ├── TaskSkipped
        └── TaskLost

A message says what is wrong, where, and what to do. Programs read the attributes, so nobody has
to parse a message.
"""

from __future__ import annotations

from cpr_nb.model.public import public
from cpr_nb.model.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@public
class CprError(Exception):
    """Base class of all errors that cpr_nb raises on purpose.

    Its text is fit for a terminal. What can't be shown there has its code in it.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


@public
class InputError(CprError, ValueError):
    """Prompts or options that can't be run.

    Args:
        message: What is wrong and what to do.
        where: The element, such as ``prompts.json: prompts[2].id``.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


@public
class UnknownOption(InputError):
    """An option name that does not exist.

    Args:
        name: The unknown name.
        nearest: The most similar valid names.
        where: The element that contains it.
    """

    def __init__(self, name: str, nearest: Sequence[str], where: str = "") -> None:
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"unknown option {name!r}{hint}", where)
        self.name = name
        self.nearest = tuple(nearest)


@public
class NotTrusted(InputError):
    """A repository says what to run, and the user has not trusted it.

    Args:
        message: What it says, and what to do: several lines.
        folder: A folder in the repository, for ``cpr trust``.
    """

    def __init__(self, message: str, folder: str) -> None:
        super().__init__(message)
        self.folder = folder


@public
class ClaudeNotFound(CprError):
    """The Claude Code CLI is not installed, or is not at the path that the user named."""


@public
class ResultsDirError(CprError, OSError):
    """The results directory can't be created, read or written."""


@public
class StateDirError(CprError, OSError):
    """The state directory can't be used, or the user's key in it."""


@public
class LaunchError(CprError):
    """The runner did not start; ``log`` is its log file, if there is one."""

    def __init__(self, message: str, log: str | None = None) -> None:
        super().__init__(message)
        self.log = log


@public
class SessionError(CprError):
    """Base class of errors about one session."""


@public
class SessionNotFound(SessionError, LookupError):
    """No session has this id, prefix or name."""


@public
class AmbiguousSession(SessionError, LookupError):
    """A prefix or name matches several sessions; ``candidates`` are their ids."""

    def __init__(self, message: str, candidates: Sequence[str]) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


@public
class SessionNotUsable(SessionError):
    """The session exists, but it does not allow this operation."""


@public
class ForeignSession(SessionNotUsable):
    """The session is foreign: this user has not launched it on this machine.

    Looking at it is always possible. ``cpr trust`` allows the rest.

    Args:
        message: Why, what it would run, and what to do: several lines.
        folder: The session's folder.
    """

    def __init__(self, message: str, folder: str) -> None:
        super().__init__(message)
        self.folder = folder


@public
class TaskNotFound(CprError, LookupError):
    """The session has no such task."""


@public
class StatsMissing(CprError, ImportError):
    """SciPy is not installed, so there can be no intervals."""

    def __init__(self, what: str = "intervals need SciPy") -> None:
        super().__init__(f"{what}: pip install 'cpr_nb[stats]'")


@public
class WorktreeError(CprError):
    """Git can't do something with the worktrees or branches of tasks, or it would lose work.

    ``reason`` is the reason of a task that fails because of it.
    """

    reason = "worktree"


@public
class WaitTimeout(CprError, TimeoutError):
    """A wait gave up. The work itself continues."""


@public
class SessionInterrupted(CprError):
    """The session's runner ended before all of its tasks had ended."""


@public
class AnswerError(CprError, ValueError):
    """The answer of a successful task does not fit the Python type that is its schema.

    Args:
        message: Where it does not fit.
        where: Whose answer it is.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)


@public
class TaskError(CprError):
    """A task ended without success.

    Args:
        message: The reason, in words for people.
        task_id: The task.
        reason: One of `cpr_nb.model.states.REASONS`.
    """

    def __init__(self, message: str, task_id: str = "", reason: str = "unknown") -> None:
        super().__init__(message)
        self.task_id = task_id
        self.reason = reason


@public
class TaskFailed(TaskError):
    """The task failed."""


@public
class TaskTimedOut(TaskError):
    """The task was ended because it took too long or was silent for too long."""


@public
class TaskCancelled(TaskError):
    """The task was cancelled."""


@public
class TaskSkipped(TaskError):
    """The task never started."""


@public
class TaskLost(TaskError):
    """The task's process vanished without a trace of how it ended."""
