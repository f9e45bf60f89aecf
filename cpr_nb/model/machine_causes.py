"""Causes of the machine: why a task can't run now that are no failure of the task.

The CLI's file is away or half written while it updates itself, a working folder is away with its
mount, there are no more processes, or the CLI ends at its start, each time with the same words.
"""

from __future__ import annotations

import errno
import re

from cpr_nb.model.text import one_line

#: The CLI can't be started; the working folder can't be entered; there are no more processes; the
#: CLI, or a helper, ends before it begins; no node is connected.
CLI, FOLDER, PROCESSES, SETUP, NODES = "cli", "folder", "processes", "setup", "nodes"
#: Why nothing starts in a session whose nodes are all away.
NO_NODE = "no node is connected"
#: The place of a cause that concerns the helpers of worktrees.
HELPER = "helper"

# Memory and open files count, too: each process needs some of them.
_TOO_MANY = (errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE)
# The arguments are what is wrong: the next task may have others.
_OWN_FAULT = (errno.E2BIG, errno.EINVAL, errno.ENAMETOOLONG)
# How the CLI says that its file .claude.json is damaged (2.0.45 to 2.1.332).
_DAMAGED = ("Configuration error in ", "configuration file at ", "Configuration Error")
_NUMBERS = re.compile(r"[0-9a-f]*\d[0-9a-f]*")


class MachineCause:
    """Why something could not be started.

    Args:
        kind: `CLI`, `FOLDER`, `PROCESSES`, `SETUP` or `NODES`.
        place: The folder or the program; what the CLI said, if it ended at its start.
        words: The same for the user.

    Example:
        >>> error = OSError(errno.EAGAIN, "Resource temporarily unavailable", "/bin/claude")
        >>> cause = cause_of(error, "/bin/claude", "/work")
        >>> cause.kind, cause.words
        ('processes', 'Resource temporarily unavailable: /bin/claude')
    """

    __slots__ = ("kind", "place", "words")

    def __init__(self, kind: str, place: str, words: str) -> None:
        self.kind = kind
        self.place = place
        self.words = words


def cause_of(error: OSError, program: str, folder: str, *, of_helper: bool = False) -> MachineCause:
    """The cause of the machine for which a process could not be started; kind "" if it is none.

    Args:
        error: What the system said; ``filename`` names the folder or the program.
        program: The program.
        folder: The working folder.
        of_helper: Whether the program is that of a helper.
    """
    words = one_line(f"{error.strerror}: {error.filename}")
    if error.errno in _TOO_MANY:
        return MachineCause(PROCESSES, "", words)
    if error.errno in _OWN_FAULT:
        return MachineCause("", "", words)
    if error.filename == folder:
        return MachineCause(FOLDER, folder, words)
    if error.filename != program:
        return MachineCause("", "", words)
    return MachineCause(SETUP, HELPER, words) if of_helper else MachineCause(CLI, program, words)


def cause_of_start(words: str) -> MachineCause:
    """The cause of a CLI that ended before its first event.

    Args:
        words: What it said. Numbers in it do not matter: they count, or they name files.

    Example:
        >>> cause_of_start("see /tmp/log.17").place == cause_of_start("see /tmp/log.18").place
        True
    """
    return MachineCause(SETUP, _NUMBERS.sub("", words), words)


def is_damaged_configuration(words: str) -> bool:
    """Whether a CLI ended at its start because its file ``.claude.json`` is damaged."""
    return any(mark in words for mark in _DAMAGED)
