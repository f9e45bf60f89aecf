"""Controls a session: cancel, pause, resume, retry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from cpr_nb.handles.collection import SessionTasks
from cpr_nb.handles.core import print_line
from cpr_nb.model import states
from cpr_nb.model.errors import ForeignSession, SessionNotUsable
from cpr_nb.model.option_values import check_options
from cpr_nb.store import layout, requests

if TYPE_CHECKING:
    from cpr_nb.launching.rerun_tasks import RerunTask


class SessionControl(SessionTasks):
    """The methods of a `Session` that leave requests for its runner, or start another."""

    def cancel(self) -> bool:
        """Cancels every task and its process tree. What is written stays.

        If the session's runner is gone, this process does it. If it is stopped (SIGSTOP), it does
        it as soon as it continues; a line says so.

        Returns:
            False if the session had already ended.

        Raises:
            SessionNotUsable: If claude-parallel-runner.pl wrote the session, or it can't be read.
        """
        if self.state in states.ENDED_STATES:
            return False
        if self.is_planned:
            from cpr_nb.launching.planned_sessions import cancel_planned

            if cancel_planned(self.snapshot):
                self.refresh()
                return True
            self.refresh()  # it has begun meanwhile
        self.ask("cancel", requests.cancel_name(None))
        return True

    def pause(self) -> None:
        """Starts no more tasks until `resume`; those that run continue.

        Raises:
            SessionNotUsable: If it has no runner.
        """
        self.leave_request("pause", layout.PAUSE)

    @property
    def max_parallel(self) -> int:
        """How many tasks may run at once; 0 for no limit. Can be changed while they run.

        Raises:
            InputError: If it is set to something else than a number from 0.
            SessionNotUsable: If it is set, and the session has no runner.
        """
        return self.refresh().snapshot.count("max_parallel")

    @max_parallel.setter
    def max_parallel(self, value: int) -> None:
        checked = check_options({"max_parallel": value})["max_parallel"]
        self.leave_request("set max_parallel of", layout.MAX_PARALLEL, str(checked))

    def resume(
        self,
        env: Mapping[str, str] | None = None,
        *,
        skipped: bool = False,
        trust: bool = False,
        force: bool = False,
    ) -> Self:
        """Resumes after an interruption or a pause, or before a limit is over.

        In an interrupted session, tasks that have ended stay as they are. An agent that still
        runs is taken over. One that was cut off continues its conversation. In a session that has
        ended, only work is saved that could not be saved then. A session that is
        ``unreachable`` is resumed once nothing was written for 15 minutes. A session that is
        ``planned`` starts, if its inputs have ended.

        Args:
            env: Values of the environment variables that the launch was given; they are not stored.
            skipped: Whether to run, in this session, the tasks that it skipped before it ended:
                those for which no login came, for example. Tasks that ended otherwise stay as
                they are.
            trust: Whether to trust a foreign session from now on: one that this user has not
                launched on this machine. What it would run is printed.
            force: Whether to resume an ``unreachable`` session at once. What that risks is
                printed.

        Returns:
            This session.

        Raises:
            ForeignSession: If it is foreign, without ``trust``.
            SessionNotUsable: If it has ended, or already runs, or its runner may live on another
                machine, or its inputs have not ended. With ``skipped``, if it has not ended,
                skipped nothing, or has spent its budget.
            InputError: If a value of ``env`` is missing.
            LaunchError: If the runner does not come up.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").resume().wait()  # doctest: +SKIP
        """
        from cpr_nb.launching.resume import resume
        from cpr_nb.launching.takeover import risk

        snapshot = self.refresh().snapshot
        if self.is_planned:
            return self._start_planned()
        if force and snapshot.state == states.UNREACHABLE:
            print_line(risk(snapshot.paths))
        try:
            resume(snapshot, env or {}, skipped=skipped, force=force)
        except ForeignSession:
            if not trust:
                raise
            self._trust()
            resume(snapshot, env or {}, skipped=skipped, force=force)
        self.print_if_stopped()
        return self.refresh()

    def _start_planned(self) -> Self:
        """Starts this session, if its inputs have ended."""
        from cpr_nb.launching.planned_sessions import resume_planned

        resume_planned(self.snapshot)
        return self.refresh()

    def _trust(self) -> None:
        """Trusts this session, and prints what it would run."""
        from cpr_nb.launching.trust import ForeignSessions

        sessions = ForeignSessions.of_session(self.snapshot)
        for line in sessions.lines():
            print_line(line)
        sessions.trust()

    def add_nodes(
        self, executor: Any, *, nodes: int | None = None, slots: int | None = None
    ) -> Self:
        """Places further node agents for this session while it runs; it gives them tasks at once.

        Adding where an agent of this session runs already is harmless: it does nothing.

        Args:
            executor: As for `cpr_nb.launch`: ``"slurm:…"``, ``"ssh:host3"`` or a client of Dask;
                not the engine of the launch necessarily.
            nodes: How many nodes; None as for `cpr_nb.launch`.
            slots: How many tasks each runs at once; None leaves that to it.

        Returns:
            This session.

        Raises:
            InputError: If the engine can't be used from here.
            SessionNotUsable: If the session does not run, or was launched without ``executor``.
            LaunchError: If no node can be placed.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").add_nodes("ssh:host3", slots=4)  # doctest: +SKIP
        """
        from cpr_nb.launching.more_nodes import add_nodes

        for line in add_nodes(self.refresh().snapshot, executor, nodes, slots):
            print_line(line)
        return self

    def retry(self, *, all_tasks: bool = False, **options: Any) -> Self:
        """Runs the tasks again that ended without success, as a new session.

        What a rule of the session has left out (``decided``, ``not_needed``, ``pilot``) did not
        fail: ``resume(skipped=True)`` runs it. The new session has the same prompts, ids and
        options, and names this one as its parent. With ``best_of``, it runs all candidates of
        those rows again of which none succeeded, and is a best of N, too.

        Args:
            all_tasks: Whether to run those again that succeeded, too.
            **options: Options of `cpr_nb.launch` that override the old ones; ``reuse`` and
                ``fresh`` as there.

        Returns:
            The new session; with ``reuse``, an earlier one that did the same.

        Raises:
            SessionNotUsable: If nothing is to be retried, or it is a legacy session: it
                kept only 50 characters of each prompt.
            InputError: If an option can't be right, or an environment value is missing.
        """
        from cpr_nb.launching.begin import pop_reuse
        from cpr_nb.launching.rerun import plan_retry

        reuse = pop_reuse(options)
        source = self.refresh().rerun_source()
        plan = plan_retry(source, all_tasks=all_tasks, options=options)
        return self.from_plan(plan, reuse=reuse)

    def follow_up(
        self, prompt: str, tasks: Iterable[str | int] | None = None, **options: Any
    ) -> Self:
        """Says something more to the agents of tasks, which remember what they did.

        A copy of each conversation continues, in the same folder or on the same branch, as one
        task of a new session.

        Args:
            prompt: What to say, the same to each.
            tasks: The numbers or ids of tasks; default those that succeeded.
            **options: Options of `cpr_nb.launch` that override the old ones (``schema`` is not
                kept); ``reuse`` and ``fresh`` as there.

        Returns:
            The new session.

        Raises:
            SessionNotUsable: If a task has not ended or has no conversation to continue, or if none
                is named and none succeeded.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").follow_up("Now write the tests.")  # doctest: +SKIP
        """
        from cpr_nb.launching.begin import pop_reuse
        from cpr_nb.launching.rerun import plan_rerun

        reuse = pop_reuse(options)
        plan = plan_rerun(self.to_follow_up(prompt, tasks), options)
        return self.from_plan(plan, reuse=reuse)

    def to_follow_up(
        self, prompt: str, tasks: Iterable[str | int] | None = None
    ) -> list[RerunTask]:
        """Tasks as parts of a rerun in which each agent reads the prompt; see `follow_up`."""
        self.refresh()
        chosen = self.tasks if tasks is None else [self.task(task) for task in tasks]
        if tasks is None:
            chosen = [task for task in chosen if task.ok]
        if not chosen:
            raise SessionNotUsable(
                f"no task of {self.id} has succeeded: name those to go on with "
                "(--task, tasks=[…]), or retry them"
            )
        numbers = dict.fromkeys(task.num for task in chosen)
        return [self.task(number).to_rerun(prompt) for number in numbers]
