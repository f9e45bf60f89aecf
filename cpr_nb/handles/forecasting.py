"""What the rest of a session will cost and how long it will take, and how the rest is run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from cpr_nb.handles.control import SessionControl
from cpr_nb.model import states
from cpr_nb.model.errors import LaunchError, SessionNotUsable
from cpr_nb.store import layout

if TYPE_CHECKING:
    from cpr_nb.display.decisions.forecast_page import ForecastDecision

#: How long the runner may take to read that the rest is to run.
_READ_WITHIN_S = 30.0


class SessionForecasts(SessionControl):
    """The methods of a `Session` that concern its pilot and its forecast."""

    def forecast(self) -> ForecastDecision:
        """What all rows will cost and how long they take, from those that have ended.

        After a pilot (``cpr_nb.map(…, pilot=30)``) it is about the rows that have not run. While
        a session runs it narrows, and rows that still run count as "more than so far". The ranges
        hold 90 of 100 times; "at least" stands where only their low end can be trusted. The
        forecast is kept, see `cpr_nb.forecasts_df`.

        Returns:
            The forecast: a sentence, a picture, a table and the method. ``.figures`` has the
            numbers, ``.table`` a DataFrame of them.

        Raises:
            SessionNotUsable: If fewer than two rows have ended, or the pilot has not.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.map("Label {ticket}", df, pilot=30)  # doctest: +SKIP
            >>> s.wait().forecast()  # doctest: +SKIP
            >>> s.run_rest().wait()  # doctest: +SKIP
        """
        from cpr_nb.display.decisions.forecast_page import ForecastDecision
        from cpr_nb.frames.forecast_tables import (
            figures_table,
            keep_forecast,
            make_forecast,
            past_forecasts,
        )

        snapshot = self.refresh().snapshot
        self._check_forecast()
        made = make_forecast(snapshot)
        keep_forecast(snapshot, made)
        return ForecastDecision(made, figures_table(made), past_forecasts(snapshot))

    def _check_forecast(self) -> None:
        snapshot = self.snapshot
        refusal = f"can't forecast {snapshot.session_id}: "
        if snapshot.state == states.UNREADABLE or snapshot.is_legacy:
            raise SessionNotUsable(f"{refusal}it is no session whose rows can be read")
        if snapshot.state == states.PLANNED:
            raise SessionNotUsable(f"{refusal}it is planned, and its rows are not known yet")
        pilot = _pilot_of(self)
        if pilot.get("state") == "runs" and snapshot.state not in states.ENDED_STATES:
            raise SessionNotUsable(
                f"{refusal}its pilot still runs, and the rows that end first are the short ones; "
                "s.wait() waits for it"
            )

    def run_rest(self, env: Mapping[str, str] | None = None) -> Self:
        """Runs the rows outside the pilot, in this session; those of the pilot do not run again.

        Args:
            env: Values of the environment variables that the launch was given; they are not
                stored. Needed only after the pilot has ended.

        Returns:
            This session.

        Raises:
            SessionNotUsable: If it has no pilot, or the rest runs already.
            InputError: If a value of ``env`` is missing.
            LaunchError: If the runner does not come up.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").run_rest().wait()  # doctest: +SKIP
        """
        snapshot = self.refresh().snapshot
        refusal = f"can't run the rest of {snapshot.session_id}: "
        if not _pilot_of(self):
            raise SessionNotUsable(f"{refusal}it has no pilot; launch with pilot= for one")
        if not _pilot_of(self).get("n_held"):
            raise SessionNotUsable(f"{refusal}nothing is held back any more")
        if snapshot.state not in states.ENDED_STATES:
            self.leave_request("run the rest of", layout.RUN_REST)
            if self._await_release():
                return self
        return self.resume(env, skipped=True)

    def _await_release(self) -> bool:
        """Whether the runner has let the rest start; False if its pilot has ended meanwhile."""
        give_up_at = time.monotonic() + _READ_WITHIN_S
        while time.monotonic() < give_up_at:
            if not _pilot_of(self.refresh()).get("n_held"):
                return True
            if self.snapshot.state in states.ENDED_STATES:
                return False
            time.sleep(0.05)
        raise LaunchError(
            f"the runner of {self.id} has not read the request within {_READ_WITHIN_S:g} s; it "
            "runs the rest once it does"
        )


def _pilot_of(session: SessionControl) -> dict[str, object]:
    """What the head of status.json says of the pilot; empty without one."""
    pilot = session.snapshot.head.get("pilot")
    return pilot if isinstance(pilot, dict) else {}
