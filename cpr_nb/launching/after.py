"""Launches a session that comes after others: at once if they have ended, else it is planned."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.frames import frame_json, mapping
from cpr_nb.frames.input_tasks import check_columns
from cpr_nb.launching.begin import start_or_attach
from cpr_nb.launching.from_frame import plan_map
from cpr_nb.launching.input_plan import (
    NothingToDo,
    input_states,
    plan_in_advance,
    plan_request,
    read_results,
)
from cpr_nb.launching.later_request import LaterRequest, SessionInput
from cpr_nb.launching.plan import LaunchPlan, plan_variants
from cpr_nb.launching.planned_sessions import find_planned, plan_session
from cpr_nb.launching.start import StartedSession
from cpr_nb.model import identity, states
from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import as_json, combinations
from cpr_nb.model.spec import check_tasks
from cpr_nb.store.key import own_key
from cpr_nb.views.planned_text import is_over, with_graders

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame

#: A session in one of these states has a runner, or can have one again.
_TO_COME = (*states.FOLLOWED_STATES, states.INTERRUPTED)


class LaterLaunch:
    """A launch that comes after other sessions: checked, and nothing is spent or created yet.

    Args:
        inputs: The sessions that it waits for.
        options: The keywords of the launch, without those that have a parameter of their own here.
        study: Further keywords, such as ``stop_when``.

    Attributes:
        plan: What is known of the session; all of it if its inputs have ended.
        has_begun: Whether they have ended, so that it starts at once.
    """

    def __init__(
        self, inputs: list[SessionInput], options: dict[str, Any], study: Mapping[str, Any]
    ) -> None:
        self._inputs = inputs
        self._options = options
        self._study = {name: value for name, value in study.items() if value is not None}
        self._results_dir = os.path.dirname(inputs[0].root)
        self._frame_json: dict[str, Any] | None = None
        self.has_begun = False
        self.plan: LaunchPlan
        self._request: LaterRequest
        _check_kept(self._study)
        named = options.get("results_dir")
        if named is not None and os.path.abspath(os.path.expanduser(named)) != self._results_dir:
            raise InputError(f"must be that of its input, {self._results_dir}", "results_dir")
        options["results_dir"] = self._results_dir
        if options.get("env"):
            raise InputError(
                "values of variables are not stored, and this session may start when this process "
                "is gone: set them for this process, or launch it once its input has ended",
                "env",
            )

    def map(
        self,
        template: Any,
        df: DataFrame | None,
        vary: Mapping[str, Sequence[Any]] | None,
        repeats: int,
    ) -> LaterLaunch:
        """Plans one task per row: of a frame, or of the input's answers where there is none.

        Raises:
            InputError: If it can't be right.
        """
        if df is None:
            self._map_answers(template, vary, repeats)
        else:
            self._plan_tasks(plan_map(template, df, vary, repeats, self._options))
        return self

    def _map_answers(self, template: Any, vary: Mapping[str, Any] | None, repeats: int) -> None:
        """Plans one task per row of the input's answers.

        Raises:
            InputError: If it can't be right.
        """
        if not isinstance(template, str):
            raise InputError(
                "must be a text: a function is gone with this process, and the session may start "
                "after that",
                "template",
            )
        if len(self._inputs) != 1:
            raise InputError(
                "names several sessions: map takes its rows from one; pass a table of rows, and "
                "it starts when all of them have ended",
                "after",
            )
        columns = read_results(self._inputs[0].root)
        option_columns = mapping.pop_option_columns(self._options, columns)
        check_columns(option_columns, columns)
        factors = combinations(vary, repeats, [*self._options, *option_columns])
        _check_kept(vary or {})
        self._plan(LaterRequest(self._inputs, template, option_columns, factors, study=self._study))

    def launch(self, prompts: Any, vary: Mapping[str, Any] | None, repeats: int) -> LaterLaunch:
        """Plans one task per prompt.

        Raises:
            InputError: If it can't be right.
        """
        self._plan_tasks(plan_variants(prompts, vary, repeats, self._options))
        return self

    def _plan_tasks(self, fixed: LaunchPlan) -> None:
        if any("env" in task.options for task in fixed.tasks):
            raise InputError(
                "values of variables are not stored, so no task can have its own", "env"
            )
        factors = [fixed.tasks[0].origin.get("factors", {})]
        self._frame_json = fixed.frame_json
        request = LaterRequest(self._inputs, None, None, factors, fixed.tasks, self._study)
        self._plan(request, frame=fixed.frame, options=fixed.options)

    def _plan(self, request: LaterRequest, frame: Any = None, options: Any = None) -> None:
        self._request = request
        options = self._options if options is None else _again(options, self._options)
        inputs = input_states(request)
        for snapshot in inputs:
            if snapshot.state not in (*states.ENDED_STATES, *_TO_COME):
                raise InputError(f"{snapshot.session_id[:8]} is {snapshot.state}", "after")
        self.has_begun = all(map(is_over, with_graders(inputs)))
        if self.has_begun:
            try:
                self.plan = plan_request(request, options)
            except NothingToDo as nothing:
                raise InputError(str(nothing), "after") from None
        else:
            self.plan, columns = plan_in_advance(request, options)
            self._frame_json = self._frame_json or columns
        if self.plan.cluster is not None:
            raise InputError("a session that comes after others runs on this machine", "executor")
        if frame is not None:
            self.plan.frame, self.plan.frame_json = frame, frame_json.encode(frame)
        # The same before the input has ended and after: its rows are not known before.
        first = request.tasks or check_tasks([request.template])
        named = {k: v for k, v in request.as_json().items() if k not in ("tasks", "reuse")}
        self.plan.identity = identity.of_study(self.plan.identity_of(first), named)

    def begin(self, *, reuse: bool) -> StartedSession:
        """Starts the session, or plans it; with ``reuse``, attaches to one that did the same.

        Args:
            reuse: Whether to look for what was done before.

        Raises:
            ResultsDirError: If the results directory can't be written.
            LaunchError: If its runner does not come up.
        """
        same = find_planned(self.plan) if reuse else None
        if same is not None:
            return same
        if self.has_begun:
            return start_or_attach(self.plan, reuse=reuse)
        if own_key() is None:
            raise InputError(
                "needs a state directory: without a key, nobody could tell later that you have "
                "asked for it (set CPR_STATE_DIR)",
                "after",
            )
        self._request.reuse = reuse
        self.plan.study["after"] |= self._request.as_json()
        return plan_session(self.plan, self._request, self._frame_json)


def _again(checked: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a plan as the keywords of another one, with where its session and CLI are."""
    where = {name: given[name] for name in ("results_dir", "claude_path") if name in given}
    return {**checked, **where}


def _check_kept(keywords: Mapping[str, Any]) -> None:
    """Refuses what would be something else after it was kept as JSON.

    Raises:
        InputError: Naming the keyword.
    """
    for name, value in keywords.items():
        if as_json(value) != (list(value) if isinstance(value, tuple) else value):
            raise InputError(
                "can't be kept until the session starts: texts, numbers, and lists and mappings "
                "of them can",
                name,
            )
