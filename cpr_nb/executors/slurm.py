"""Slurm places node agents: one job array, and each of its jobs becomes a node agent."""

from __future__ import annotations

import shlex

from cpr_nb.executors import placing
from cpr_nb.executors.placing import Engine, Joining, Placed, last_line, last_line_of
from cpr_nb.model.errors import InputError, LaunchError
from cpr_nb.store.layout import NODE_LOG_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long before its end a job is asked to leave. Slurm may be a minute late with that.
_NOTICE_S = 120
_COMMAND_S = 60.0
#: Slurm's names for a job that has not begun.
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED")


class SlurmEngine(Engine):
    """Submits node agents with sbatch.

    Args:
        options: Options of sbatch, from the user.
    """

    name = "slurm"

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = tuple(options)

    def check(self, nodes: int | None) -> None:
        """Refuses a machine without Slurm's programs; see `Engine.check`."""
        import shutil

        for program in ("sbatch", "squeue"):
            if shutil.which(program) is None:
                raise InputError(
                    f"there is no {program} on PATH: launch it where jobs are submitted, such as a "
                    "login node",
                    "executor: slurm",
                )

    def place(self, joining: Joining, nodes: int | None) -> Placed:
        """Submits one job array; see `Engine.place`."""
        n_jobs = nodes or 1
        argv = self._argv(joining, n_jobs)
        code, out, errors = run(argv, _script(joining))
        if code:
            raise LaunchError(f"sbatch has refused the node agents: {last_line(errors or out)}")
        job_id = out.strip().split(";")[0]
        return SlurmJobs(n_jobs, job_id, joining)

    def n_missing(self, joining: Joining, nodes: int | None) -> int | None:
        """How many jobs of the session are gone; see `Engine.n_missing`."""
        name = f"--name={job_name(joining.session_id)}"
        code, out, _ = run(["squeue", "--noheader", "--array", name, "--format=%i"])
        return max(0, (nodes or 1) - (len(out.split()) if code == 0 else 0))

    def _argv(self, joining: Joining, n_jobs: int) -> list[str]:
        return [
            "sbatch",
            *self._options,
            # What follows wins over the user's own. Nothing of our environment goes along: Slurm
            # keeps it in the clear. A job that is run again is another agent, and gets other tasks.
            "--parsable",
            "--no-requeue",
            "--export=NONE",
            f"--signal=B:TERM@{_NOTICE_S}",
            "--open-mode=append",
            "--chdir=/",
            f"--array=0-{n_jobs - 1}",
            f"--job-name={job_name(joining.session_id)}",
            f"--output={joining.log_folder.replace('%', '%%')}/{NODE_LOG_PREFIX}%A_%a.log",
        ]


class SlurmJobs(Placed):
    """The jobs of one array.

    Args:
        n_jobs: How many.
        job_id: The number of the array.
        joining: What they were given.
    """

    def __init__(self, n_jobs: int, job_id: str, joining: Joining) -> None:
        super().__init__(n_jobs)
        self._job_id = job_id
        self._joining = joining

    def state(self) -> str:
        """What the queue says of them; see `Placed.state`."""
        argv = ["squeue", "--noheader", "--array", f"--jobs={self._job_id}", "--format=%T"]
        code, out, _ = run(argv)
        if code:
            return placing.ENDED
        states = set(out.split())
        if states - set(_WAITING):
            return placing.STARTED
        return placing.QUEUED if states else placing.ENDED

    def last_words(self) -> list[str]:
        """The last lines of the jobs' logs; see `Placed.last_words`."""
        folder = self._joining.log_folder
        names = [f"{NODE_LOG_PREFIX}{self._job_id}_{n}.log" for n in range(self.n_placed)]
        return [line for name in names if (line := last_line_of(f"{folder}/{name}"))]


def job_name(session_id: str) -> str:
    """The name of a session's jobs: by it they are found again, and cancelled."""
    return f"cpr-{session_id}"


def _script(joining: Joining) -> str:
    """What a job runs. ``exec``: no shell stands between Slurm and the agent."""
    slots = [] if joining.slots is None else ["--slots", str(joining.slots)]
    argv = placing.agent_argv(joining.paths.join, "", None)
    # Two jobs of an array may get the same machine.
    name = '--name "${SLURMD_NODENAME:-$(hostname)}-${SLURM_ARRAY_TASK_ID:-0}"'
    return f"#!/bin/sh\nexec {shlex.join([*argv, *slots])} {name}\n"


def run(argv: Sequence[str], text: str = "") -> tuple[int, str, str]:
    """Runs a program of Slurm; returns its exit code, stdout and stderr.

    Args:
        argv: The command.
        text: What it reads from stdin.
    """
    import subprocess  # only where nodes are placed

    try:
        done = subprocess.run(  # noqa: S603 - programs of Slurm, without a shell
            argv, input=text, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, "", str(error)
    return done.returncode, done.stdout, done.stderr
