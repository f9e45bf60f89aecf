"""What all processes of a node agent have in common: environment, arguments, spools."""

from __future__ import annotations

import errno
import json
import os
import sys

from cpr_nb.model.environment import NODE_VARIABLE, clean_environment
from cpr_nb.nodes.machine_facts import output_of
from cpr_nb.runner.process import LINUX
from cpr_nb.runner.spawning import create

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CARRIED_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "carried_run.py")


class NodeShell:
    """What all processes of a node agent have in common.

    Args:
        life: The node agent's life: every process carries it.
        folder: Where spools go.

    Attributes:
        life: As above.
        folder: As above.
        claude_path: The node's own CLI; empty if it has none.
        mark: What the next process carries, so that the twin finds it.

    Raises:
        FileNotFoundError: If this machine lacks what ends a process with its node agent.
    """

    def __init__(self, life: str, folder: str) -> None:
        self.life, self.folder, self.claude_path = life, folder, ""
        self.mark = life
        environment = clean_environment(os.environ)
        self._environ = {os.fsencode(name): os.fsencode(v) for name, v in environment.items()}
        # It dies with the thread that starts it, whatever becomes of the twin; on Linux only.
        self._prefix = ["setpriv", "--pdeathsig", "KILL"] if LINUX else []
        if self._prefix and output_of([*self._prefix, "true"], environment) is None:
            raise FileNotFoundError("it needs the program setpriv of util-linux, 2.33 or newer")
        self._n_runs = 0

    def next_number(self) -> int:
        """A number that no other process of this node agent has: it names its spools."""
        self._n_runs += 1
        return self._n_runs

    def argv(self, order: dict[str, Any]) -> list[str]:
        """The arguments of a process.

        Raises:
            OSError: If its program can't be executed.
        """
        program, *words = order["argv"]
        program = program or self.claude_path or "claude"
        if "/" in program:
            _check_program(program)
        return [*self._prefix, program, *words]

    def carried(
        self, order: dict[str, Any], argv: list[str], home: str, parcel: bytes
    ) -> tuple[list[str], str]:
        """The arguments and the folder of a process that brings things along, and home.

        Args:
            order: The order.
            argv: The arguments of the process itself.
            home: The spool of what must come home.
            parcel: What came for it.
        """
        with open(f"{home}.parcel", "wb") as file:
            file.write(parcel)
        os.close(create(home))
        carried = order["carried"]
        spec = {
            "argv": argv,
            "cwd": order["cwd"],
            "parcel": f"{home}.parcel" if parcel else "",
            "home": home,
            "root": os.path.dirname(self.folder),
            "place": f"{self.folder}/checkouts/{carried['task_id']}",
            "conversation_id": carried["conversation_id"],
            "has_fourth": bool(order.get("fourth")),
        }
        with open(f"{home}.spec", "w", encoding="utf-8", errors="surrogateescape") as spec_file:
            json.dump(spec, spec_file)
        cwd = self.folder if carried["has_checkout"] else order["cwd"]
        return [*self._prefix, sys.executable, "-I", _CARRIED_RUN, f"{home}.spec"], cwd

    def environment(self, more: dict[str, str]) -> dict[bytes, bytes]:
        """The environment of a process: the node's own, and what belongs to the task."""
        own = {os.fsencode(name): os.fsencode(value) for name, value in more.items()}
        return {**self._environ, NODE_VARIABLE.encode(): self.mark.encode(), **own}


def _check_program(program: str) -> None:
    """Checks what the kernel would only say to ``setpriv``."""
    if not os.path.exists(program):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    if os.path.isdir(program) or not os.access(program, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
