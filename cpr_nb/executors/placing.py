"""What an engine must do: place node agents, and nothing else."""

from __future__ import annotations

import os
import sys

from cpr_nb.store.layout import SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: It may still come to life; nobody need wait for it.
QUEUED = "queued"
#: It was started, as far as the engine knows.
STARTED = "started"
#: Nothing of it runs or waits any more.
ENDED = "ended"

#: The most characters that are shown of what a program of others says.
_SHOWN = 300


class Joining:
    """What a node agent needs to join a session.

    Args:
        paths: The session's paths. The keys are in its join file, and never in an argument.
        session_id: Its id.
        slots: How many tasks the node may run at once; None leaves that to it.
    """

    __slots__ = ("paths", "session_id", "slots")

    def __init__(self, paths: SessionPaths, session_id: str, slots: int | None) -> None:
        self.paths = paths
        self.session_id = session_id
        self.slots = slots

    @property
    def log_folder(self) -> str:
        """Where the log of a node agent goes if its machine sees the session's folder."""
        return self.paths.root

    def keys(self) -> str:
        """The content of the join file.

        Raises:
            OSError: If it can't be read.
        """
        with open(self.paths.join, encoding="utf-8") as file:
            return file.read()


class Placed:
    """Node agents that an engine has placed.

    Args:
        n_placed: How many.
        failures: Why others could not be placed: a line for each.
    """

    def __init__(self, n_placed: int, failures: Sequence[str] = ()) -> None:
        self.n_placed = n_placed
        self.failures = list(failures)

    def state(self) -> str:
        """What the engine knows of them: `QUEUED`, `STARTED` or `ENDED`. No proof of anything."""
        return STARTED if self.n_placed else ENDED

    def last_words(self) -> list[str]:
        """The last line of each one's log, where it can be read."""
        return []


class Engine:
    """Places node agents.

    Example:
        An engine that starts what it is told by hand::

            class ByHand(Engine):
                name = "agents"
    """

    name = ""

    def check(self, nodes: int | None) -> None:
        """Refuses what can't work, before anything is spent or created.

        Args:
            nodes: How many nodes the user wants; None leaves that to the engine.

        Raises:
            InputError: If it can't work from here; the message says what to do.
        """

    def place(self, joining: Joining, nodes: int | None) -> Placed:
        """Places node agents, and does not wait until they have joined.

        A second agent of the same name on a machine does nothing, so placing again is harmless.

        Args:
            joining: What they need.
            nodes: How many; None leaves that to the engine.

        Returns:
            What was placed, and what could not be.

        Raises:
            LaunchError: If none can be placed.
        """
        return Placed(0)

    def n_missing(self, joining: Joining, nodes: int | None) -> int | None:
        """How many to place again for a session that is resumed; 0 for none, None as at first.

        Args:
            joining: What they need.
            nodes: How many the user wanted.
        """
        return nodes


def agent_program() -> str:
    """The program of the node agent, as it lies on this machine."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(folder, "nodes", "__main__.py")


def agent_argv(join: str, name: str, slots: int | None) -> list[str]:
    """The command that starts a node agent with this Python. There is nothing secret in it.

    Args:
        join: The path of the join file; ``-`` for stdin.
        name: The node's name; empty leaves that to the agent.
        slots: How many tasks it runs at once; None leaves that to the agent.

    Example:
        >>> agent_argv("/r/join.json", "n1", 4)[-5:]
        ['/r/join.json', '--name', 'n1', '--slots', '4']
    """
    options: list[Any] = ["--name", name] if name else []
    options += ["--slots", slots] if slots is not None else []
    return [sys.executable, "-I", agent_program(), join, *map(str, options)]


def last_line(text: str) -> str:
    r"""The last line of a log that says something.

    Example:
        >>> last_line("a\nb\n\n")
        'b'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_SHOWN] if lines else ""


def last_line_of(path: str) -> str:
    """The last line of a log file; empty if it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return last_line(file.read())
    except OSError:
        return ""
