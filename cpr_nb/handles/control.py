"""What a session can be asked for: to stop, to pause, to go on, to run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpr_nb.model import errors, states
from cpr_nb.model.option_values import check_options
from cpr_nb.store import layout, requests

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session


class Steering:
    """The methods of a `Session` that leave requests to its runner, or start another."""

    @property
    def _me(self) -> Session:
        return self  # type: ignore[return-value]  # it is never anything else

    def cancel(self) -> bool:
        """Ends every task with its process tree; what is written stays.

        If the session's runner is gone, it is done here and now.

        Returns:
            False if the session had ended already.

        Raises:
            SessionNotUsable: If claude-parallel-runner.pl wrote the session, or it can't be read.
        """
        if self._me.done():
            return False
        self.ask("cancel", requests.cancel_name(None))
        return True

    def pause(self) -> None:
        """Starts nothing more until `resume`; what runs goes on.

        Raises:
            SessionNotUsable: If no runner works on it.
        """
        self._require_runner("pause")
        requests.leave(self._me.paths, layout.PAUSE)

    @property
    def max_parallel(self) -> int:
        """How many tasks may run at once; 0 for no limit. It can be changed while they run."""
        return self._me.refresh().snapshot.count("max_parallel")

    @max_parallel.setter
    def max_parallel(self, value: int) -> None:
        checked = check_options({"max_parallel": value})["max_parallel"]
        self._require_runner("set max_parallel of")
        requests.leave(self._me.paths, layout.MAX_PARALLEL, str(checked))

    def resume(self, env: Mapping[str, str] | None = None) -> Session:
        """Goes on after an interruption, a pause, or before a limit is over.

        Of an interrupted session, what has ended stays as it is; an agent that still runs is
        taken over; one that was cut off goes on with its conversation.

        Args:
            env: Values of variables that the launch was given: they are not stored.

        Returns:
            This session.

        Raises:
            SessionNotUsable: If it has ended, or runs already.
            InputError: If a value of ``env`` is missing.
            LaunchError: If the runner does not come up.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").resume().wait()  # doctest: +SKIP
        """
        from cpr_nb.launching.resume import resume

        resume(self._me, dict(env or {}))
        return self._me.refresh()

    def ask(self, verb: str, request: str) -> None:
        """Leaves a request, and carries it out if no runner is there to do so.

        Args:
            verb: What to call it in an error.
            request: The name of the request.

        Raises:
            SessionNotUsable: If it can't be done.
        """
        if self._me.snapshot.state != states.INTERRUPTED:
            self._require_runner(verb)
            requests.leave(self._me.paths, request)
            return
        from cpr_nb.launching.resume import settle

        settle(self._me, request)

    def _require_runner(self, verb: str) -> None:
        """Refuses what only a live runner can do."""
        self._me.refresh()
        if self._me.snapshot.is_legacy:
            raise errors.SessionNotUsable(
                f"can't {verb} {self._me.id}: claude-parallel-runner.pl wrote this session"
            )
        if not self._me.snapshot.is_live:
            raise errors.SessionNotUsable(
                f"can't {verb} {self._me.id}: it is {self._me.snapshot.state}, "
                "no runner works on it"
            )

    def retry(self, *, all_tasks: bool = False, **options: Any) -> Session:
        """Runs the tasks that ended without success again, as a new session.

        The new session has the same prompts, ids and options, and points to this one.

        Args:
            all_tasks: Run those that succeeded again, too.
            **options: Options of `cpr_nb.launch` that go before the old ones; ``reuse`` and
                ``fresh`` as there.

        Returns:
            The new session; with ``reuse`` the one that was started for the same before.

        Raises:
            SessionNotUsable: If nothing is to be retried, or it is a legacy session: it
                kept only 50 characters of each prompt.
            InputError: If an option can't be right, or an environment value is missing.
        """
        from cpr_nb.launching import reuse as reusing
        from cpr_nb.launching.rerun import plan_retry

        reuse = reusing.take(options)
        planned = plan_retry(self._me, all_tasks=all_tasks, options=options)
        return reusing.start(planned, reuse=reuse)
