"""cpr_nb: many Claude Code tasks in parallel, detached, kept in a plain results directory.

Example:
    >>> import cpr_nb as cpr
    >>> session = cpr.launch(["fix the flaky test", "write docs for utils.py"])  # doctest: +SKIP
    >>> session.wait()  # doctest: +SKIP
    >>> session[0].result()  # doctest: +SKIP
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # The public names are written here and nowhere else: `_homes` reads these lines.
    from cpr_nb.frames.event_table import events_df as events_df
    from cpr_nb.frames.forecast_tables import forecasts_df as forecasts_df
    from cpr_nb.frames.queries import denials_df as denials_df
    from cpr_nb.frames.queries import sessions_df as sessions_df
    from cpr_nb.frames.queries import tasks_df as tasks_df
    from cpr_nb.frames.queries import tool_calls_df as tool_calls_df
    from cpr_nb.frames.session_usage import usage_df as usage_df
    from cpr_nb.frames.transcripts.reading import Transcripts as Transcripts
    from cpr_nb.frames.transcripts.reading import transcripts as transcripts
    from cpr_nb.frames.transcripts.reading import transcripts_df as transcripts_df
    from cpr_nb.handles.dashboard import dashboard as dashboard
    from cpr_nb.handles.importing import import_sessions as import_sessions
    from cpr_nb.handles.launch import launch as launch
    from cpr_nb.handles.launch import map as map
    from cpr_nb.handles.session import Session as Session
    from cpr_nb.handles.session import attach as attach
    from cpr_nb.handles.task import Task as Task
    from cpr_nb.handles.trust import trust as trust
    from cpr_nb.handles.usage_charts import usage_chart as usage_chart
    from cpr_nb.model.errors import AmbiguousSession as AmbiguousSession
    from cpr_nb.model.errors import AnswerError as AnswerError
    from cpr_nb.model.errors import ClaudeNotFound as ClaudeNotFound
    from cpr_nb.model.errors import CprError as CprError
    from cpr_nb.model.errors import ForeignSession as ForeignSession
    from cpr_nb.model.errors import InputError as InputError
    from cpr_nb.model.errors import LaunchError as LaunchError
    from cpr_nb.model.errors import NotTrusted as NotTrusted
    from cpr_nb.model.errors import ResultsDirError as ResultsDirError
    from cpr_nb.model.errors import SessionError as SessionError
    from cpr_nb.model.errors import SessionInterrupted as SessionInterrupted
    from cpr_nb.model.errors import SessionNotFound as SessionNotFound
    from cpr_nb.model.errors import SessionNotUsable as SessionNotUsable
    from cpr_nb.model.errors import StateDirError as StateDirError
    from cpr_nb.model.errors import StatsMissing as StatsMissing
    from cpr_nb.model.errors import TaskCancelled as TaskCancelled
    from cpr_nb.model.errors import TaskError as TaskError
    from cpr_nb.model.errors import TaskFailed as TaskFailed
    from cpr_nb.model.errors import TaskLost as TaskLost
    from cpr_nb.model.errors import TaskNotFound as TaskNotFound
    from cpr_nb.model.errors import TaskSkipped as TaskSkipped
    from cpr_nb.model.errors import TaskTimedOut as TaskTimedOut
    from cpr_nb.model.errors import UnknownOption as UnknownOption
    from cpr_nb.model.errors import WaitTimeout as WaitTimeout
    from cpr_nb.model.errors import WorktreeError as WorktreeError

    __all__: list[str]

__version__ = "0.1.0"

# IPython calls these two for %load_ext and %unload_ext.
_EXTENSION_HOOKS = ("load_ipython_extension", "unload_ipython_extension")


def _homes() -> dict[str, str]:
    """Public name → the module that defines it."""
    # By the loader, because the package may be in a zip file.
    source = __spec__.loader.get_data(__file__).decode()  # type: ignore[union-attr]
    block = source.partition("if TYPE_CHECKING:\n")[2].partition("\n\n")[0]
    imports = (line.split() for line in block.splitlines() if " import " in line)
    return {words[-1]: words[1] for words in imports}


def __getattr__(name: str) -> object:
    # Importing cpr_nb loads nothing: the command must start fast, and so must the runner, whose
    # modules are below this package.
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'cpr_nb' has no attribute {name!r}")
    homes = _homes()
    if name == "__all__":
        return ["__version__", *homes]
    home = "cpr_nb.magics" if name in _EXTENSION_HOOKS else homes.get(name)
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
    return sorted(["__version__", *_homes()])


if "pandas" in sys.modules:  # whoever works with DataFrames finds `df.cpr`
    import cpr_nb.pandas  # noqa: F401
