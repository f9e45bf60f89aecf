"""Has notices sent of a session that has no runner."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from cpr_nb.runner.own_programs import start_notice
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.state_dir import state_dir


def start_notices(paths: SessionPaths, kinds: Iterable[str], own_names: Iterable[str]) -> None:
    """Starts the programs that send them; each is nobody's child.

    Args:
        paths: The session's paths.
        kinds: Which notices.
        own_names: Variables that only this session was given.
    """
    own_names = list(own_names)
    for kind in kinds:
        try:
            pid = start_notice(paths, paths.root, kind, own_names, state_dir(), "detached")
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # something in this process reaps every child
        except OSError as error:
            sys.stderr.write(f"notice {kind}: {error.strerror}\n")
