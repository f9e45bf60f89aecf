"""How sessions and tasks show themselves in a notebook."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from cpr_nb.model import states
from cpr_nb.model.errors import CprError

if TYPE_CHECKING:
    from cpr_nb.display.dashboard import Dashboard
    from cpr_nb.display.session_widget import ActionResult
    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task
    from cpr_nb.store.read import Snapshot


class ShownSession:
    """The methods of a `Session` that show it."""

    if TYPE_CHECKING:

        @property
        def snapshot(self) -> Snapshot: ...
        def refresh(self) -> Session: ...

    def show(self, *, widgets: bool | None = None) -> None:
        """Shows it live in a notebook: all tasks, what they do now, their outputs, buttons.

        To evaluate a session shows it too; when it has ended, a static card takes the place of
        the widgets. What this method shows stays open to read the outputs.

        Args:
            widgets: Whether to use widgets; None for where they are installed. Without them a
                static card is refreshed.

        Raises:
            ImportError: If widgets are wanted and not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").show()  # doctest: +SKIP
        """
        if not self._show(widgets=widgets, keep=True):
            sys.stdout.write(f"{self!r}\n")

    def _show(self, *, widgets: bool | None, keep: bool) -> bool:
        """Shows it if there is a notebook."""
        from cpr_nb.display.display_handle import shell

        if shell() is None:
            return False
        from cpr_nb.display import live

        live.show(self.refresh().snapshot.paths.root, ask, widgets=widgets, keep=keep)
        return True

    def _ipython_display_(self) -> None:
        goes_on = self.refresh().snapshot.is_live or self.snapshot.state == states.INTERRUPTED
        if not (goes_on and self._show(widgets=None, keep=False)):
            raise NotImplementedError  # IPython then takes the text, or the card below

    def _repr_html_(self) -> str:
        from cpr_nb.display.cards import SHOW_HINT, session_card
        from cpr_nb.display.session_model import SessionModel

        model = SessionModel(self.refresh().snapshot.paths.root)
        model.refresh()
        return session_card(model, SHOW_HINT)


class ShownTask:
    """The methods of a `Task` that show it."""

    if TYPE_CHECKING:
        _session: Session
        _index: int

        @property
        def fields(self) -> dict[str, Any]: ...
        @property
        def prompt(self) -> str: ...

    def _repr_html_(self) -> str:
        from cpr_nb.display.cards import task_card
        from cpr_nb.display.row_deltas import task_row, title_of
        from cpr_nb.views.current_activity import ActivityFollower

        snapshot = self._session.refresh().snapshot
        doing = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
        return task_card(
            self.fields, task_row(self._index, self.fields, title_of(self.prompt), doing)
        )


def dashboard(results_dir: str | os.PathLike[str] | None = None) -> Dashboard:
    """All sessions of the results directory, live in a notebook; a click opens one.

    Args:
        results_dir: The results directory, if it isn't the usual one.

    Returns:
        What a notebook shows when it is evaluated; elsewhere its text is a line a session.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.dashboard()  # doctest: +SKIP
    """
    from cpr_nb.display.dashboard import Dashboard
    from cpr_nb.store.catalog import results_dir as find

    return Dashboard(find(results_dir, os.environ), ask)


def ask(root: str, verb: str, task_id: str) -> ActionResult:
    """Does what a button asks: leaves the request, as the command of that name does.

    Args:
        root: The session's folder.
        verb: ``cancel``, ``pause``, ``resume`` or ``retry``.
        task_id: The task that is meant; empty for the session.
    """
    from cpr_nb.display.session_widget import ActionResult
    from cpr_nb.handles.session import Session

    session = Session(root)
    try:
        if verb == "retry":
            retried = session.retry(fresh=True)  # a click is meant
            return ActionResult(
                "Runs again as a new session, below:",
                f'cpr.attach("{retried.id[:8]}")',
                str(retried.path),
            )
        if verb == "pause":
            session.pause()
            return ActionResult("Paused: what runs goes on, nothing more starts.")
        if verb == "resume":
            session.resume()
            return ActionResult("It goes on.")
        if verb == "cancel":
            asked: Task | Session = session.task(task_id) if task_id else session
            return ActionResult("Cancelled." if asked.cancel() else "It had ended already.")
    except (CprError, OSError) as error:
        return ActionResult(str(error), bad=True)
    return ActionResult(f"not known: {verb}", bad=True)
