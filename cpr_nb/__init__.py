"""cpr_nb: many Claude Code tasks in parallel, detached, kept in a plain results directory.

Example:
    >>> import cpr_nb as cpr
    >>> session = cpr.launch(["fix the flaky test", "write docs for utils.py"])  # doctest: +SKIP
    >>> session.wait()  # doctest: +SKIP
    >>> session[0].result()  # doctest: +SKIP
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.frames.queries import (
        denials_df,
        events_df,
        sessions_df,
        tasks_df,
        tool_calls_df,
        usage_df,
    )
    from cpr_nb.handles.dashboard import dashboard
    from cpr_nb.handles.launch import launch, map
    from cpr_nb.handles.session import Session, attach
    from cpr_nb.handles.task import Task
    from cpr_nb.model.errors import (
        AmbiguousSession,
        AnswerError,
        ClaudeNotFound,
        CprError,
        InputError,
        LaunchError,
        ResultsDirError,
        SessionError,
        SessionInterrupted,
        SessionNotFound,
        SessionNotUsable,
        TaskCancelled,
        TaskError,
        TaskFailed,
        TaskLost,
        TaskNotFound,
        TaskSkipped,
        TaskTimedOut,
        UnknownOption,
        WaitTimeout,
        WorktreeError,
    )

__version__ = "0.1.0"

# name → the private module that has it. Importing cpr_nb itself loads nothing: the command
# must start fast, and so must the runner, whose modules live below this package.
_HOMES = {
    "launch": "cpr_nb.handles.launch",
    "map": "cpr_nb.handles.launch",
    "attach": "cpr_nb.handles.session",
    "dashboard": "cpr_nb.handles.dashboard",
    "Session": "cpr_nb.handles.session",
    "Task": "cpr_nb.handles.task",
    "AmbiguousSession": "cpr_nb.model.errors",
    "AnswerError": "cpr_nb.model.errors",
    "ClaudeNotFound": "cpr_nb.model.errors",
    "CprError": "cpr_nb.model.errors",
    "InputError": "cpr_nb.model.errors",
    "LaunchError": "cpr_nb.model.errors",
    "ResultsDirError": "cpr_nb.model.errors",
    "SessionError": "cpr_nb.model.errors",
    "SessionInterrupted": "cpr_nb.model.errors",
    "SessionNotFound": "cpr_nb.model.errors",
    "SessionNotUsable": "cpr_nb.model.errors",
    "TaskCancelled": "cpr_nb.model.errors",
    "TaskError": "cpr_nb.model.errors",
    "TaskFailed": "cpr_nb.model.errors",
    "TaskLost": "cpr_nb.model.errors",
    "TaskNotFound": "cpr_nb.model.errors",
    "TaskSkipped": "cpr_nb.model.errors",
    "TaskTimedOut": "cpr_nb.model.errors",
    "UnknownOption": "cpr_nb.model.errors",
    "WaitTimeout": "cpr_nb.model.errors",
    "WorktreeError": "cpr_nb.model.errors",
    "denials_df": "cpr_nb.frames.queries",
    "events_df": "cpr_nb.frames.queries",
    "sessions_df": "cpr_nb.frames.queries",
    "tasks_df": "cpr_nb.frames.queries",
    "tool_calls_df": "cpr_nb.frames.queries",
    "usage_df": "cpr_nb.frames.queries",
    # What %load_ext and %unload_ext ask for.
    "load_ipython_extension": "cpr_nb.magics",
    "unload_ipython_extension": "cpr_nb.magics",
}

__all__ = [
    "AmbiguousSession",
    "AnswerError",
    "ClaudeNotFound",
    "CprError",
    "InputError",
    "LaunchError",
    "ResultsDirError",
    "Session",
    "SessionError",
    "SessionInterrupted",
    "SessionNotFound",
    "SessionNotUsable",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskFailed",
    "TaskLost",
    "TaskNotFound",
    "TaskSkipped",
    "TaskTimedOut",
    "UnknownOption",
    "WaitTimeout",
    "WorktreeError",
    "__version__",
    "attach",
    "dashboard",
    "denials_df",
    "events_df",
    "launch",
    "map",
    "sessions_df",
    "tasks_df",
    "tool_calls_df",
    "usage_df",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'cpr_nb' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    if home.startswith("cpr_nb.frames"):
        _register_accessor()
    else:
        from cpr_nb import frames

        frames.on_table = _register_accessor
    globals()[name] = value
    return value


def _register_accessor() -> None:
    """Gives every DataFrame `df.cpr`: a table of tasks or results is a command, too."""
    import cpr_nb.pandas  # noqa: F401


def __dir__() -> list[str]:
    return sorted(__all__)


import sys  # noqa: E402 - known to every process, so it costs nothing

if "pandas" in sys.modules:  # whoever works with DataFrames finds `df.cpr`
    import cpr_nb.pandas  # noqa: F401
