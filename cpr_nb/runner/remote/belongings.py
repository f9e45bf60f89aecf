"""What goes along with a process to a node, and comes home: its worktree and its conversation."""

from __future__ import annotations

import os

from cpr_nb.runner.remote.landing import Landed, land
from cpr_nb.runner.spawning import create
from cpr_nb.store.conversation import transcript_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from cpr_nb.runner.helper_job import Helpers
    from cpr_nb.runner.lease import Lease
    from cpr_nb.runner.remote.node import Node
    from cpr_nb.store.layout import SessionPaths

    class Tasks(Protocol):
        """What knows the tasks, as `Starter` does."""

        helpers: Helpers

        def transcript(self, task_id: str, conversation_id: str) -> bytes | None:
            """The transcript of a conversation."""

        def config_folder(self, task_id: str) -> str:
            """The folder of the CLI's own configuration."""

        def sends_config_folder(self, task_id: str) -> bool:
            """Whether the user gave the task such a folder."""


#: What `Node.sees` is asked for.
CONFIG, REPOSITORY = "config", "repository"


def belongings_of(
    tasks: Tasks,
    task_spec: dict[str, Any],
    cwd: str,
    conversation_id: str | None,
    *,
    goes_on: bool,
) -> Belongings:
    """What belongs to a process of a task.

    Args:
        tasks: What knows the tasks.
        task_spec: The task's object in session.json.
        cwd: The folder that it would work in here.
        conversation_id: Its conversation; empty for any, None for none, as a check has it.
        goes_on: Whether that is there already.
    """
    task_id, job = task_spec["id"], tasks.helpers.job(task_spec)
    sought = conversation_id if goes_on else task_spec.get("follows", "")
    is_agent = conversation_id is not None
    found = tasks.transcript(task_id, sought) if sought and is_agent else None
    return Belongings(
        task_id,
        conversation_id,
        [os.fsdecode(found)] if found is not None else [],
        tasks.config_folder(task_id),
        cwd,
        has_worktree=cwd != job["cwd"],
        argv=tasks.helpers.argv("pack"),
        job=job,
        own_config=tasks.sends_config_folder(task_id),
    )


class Belongings:
    """What belongs to a process of a task.

    Args:
        task_id: The task, or what stands for it in names of files.
        conversation_id: Its conversation; empty for any, None for none.
        transcripts: The transcripts here that it goes on with.
        config_folder: The folder of the CLI's own configuration here.
        cwd: The folder that it would work in here.
        has_worktree: Whether it works in a worktree of the task's own.
        argv: The helper that packs a parcel.
        job: What the helper is to do.
        own_config: Whether the user gave it a folder of the CLI's own configuration.
    """

    __slots__ = (
        *("_argv", "_config_folder", "_conversation_id", "_cwd", "_has_worktree", "_job"),
        *("_own_config", "_task_id", "_transcripts"),
    )

    def __init__(
        self,
        task_id: str,
        conversation_id: str | None,
        transcripts: list[str],
        config_folder: str,
        cwd: str,
        *,
        has_worktree: bool,
        argv: list[str],
        job: dict[str, Any],
        own_config: bool,
    ) -> None:
        self._task_id, self._conversation_id = task_id, conversation_id
        self._transcripts, self._config_folder, self._cwd = transcripts, config_folder, cwd
        self._has_worktree, self._argv, self._job = has_worktree, argv, job
        self._own_config = own_config

    def on(self, node: Node, out: str) -> Carried | None:
        """What has to be brought to a node, and back; None if it has all of that.

        Args:
            node: The node.
            out: The file of the process's output.
        """
        has_checkout = self._has_worktree and not node.sees(REPOSITORY)
        if not has_checkout and node.sees(CONFIG) and not self._own_config:
            return None
        task_id = self._task_id
        fields: dict[str, Any] = {
            "folder_must_exist": not has_checkout,
            "carried": {
                "task_id": task_id,
                "conversation_id": self._conversation_id,
                "has_checkout": has_checkout,
            },
        }
        if has_checkout or self._transcripts:
            job = {**self._job, "has_worktree": has_checkout, "transcripts": self._transcripts}
            fields["pack"] = {"argv": self._argv, "job": job}
        return Carried(
            out, self._config_folder, self._cwd, has_checkout=has_checkout, fields=fields
        )


class Carried:
    """What comes home from a process on a node.

    Args:
        out: The file of its output.
        config_folder: The folder of the CLI's own configuration here.
        cwd: The folder that it would have worked in here.
        has_checkout: Whether its work comes home, too.
        fields: What the order of its start says of it.

    Attributes:
        spool: The file with it.
    """

    __slots__ = ("_config_folder", "_cwd", "_has_checkout", "fields", "spool")

    def __init__(
        self,
        out: str,
        config_folder: str,
        cwd: str,
        *,
        has_checkout: bool,
        fields: dict[str, Any] | None = None,
    ) -> None:
        self.spool = f"{out}.home"
        self._config_folder, self._cwd = config_folder, cwd
        self._has_checkout, self.fields = has_checkout, fields or {}

    @classmethod
    def of_lease(cls, lease: Lease, out: str, config_folder: str) -> Carried | None:
        """What the journal says of it; None if nothing has to come home."""
        if lease.home is None:
            return None
        cwd, has_checkout = str(lease.home.get("cwd")), bool(lease.home.get("has_checkout"))
        return cls(out, config_folder, cwd, has_checkout=has_checkout)

    @property
    def record(self) -> dict[str, Any]:
        """What the journal says of it."""
        return {"cwd": self._cwd, "has_checkout": self._has_checkout}

    def begin(self) -> None:
        """Creates the file that it will be in.

        Raises:
            OSError: If it can't be created.
        """
        os.close(create(self.spool))

    def go_on(self) -> None:
        """Creates the file again if an earlier runner has removed it: all of it comes again."""
        os.close(os.open(self.spool, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))

    def land(self, paths: SessionPaths, task_id: str) -> Landed:
        """Puts what has come in its place.

        Args:
            paths: The session's paths.
            task_id: The task.
        """
        folder = transcript_folder(self._config_folder, self._cwd)
        places = folder, paths.bundle(task_id), paths.setup(task_id)
        return land(self.spool, *places, needs_bundle=self._has_checkout)
