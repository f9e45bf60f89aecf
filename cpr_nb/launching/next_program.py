"""The program that a runner starts at its end: it starts what is planned to come after it."""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> int:
    """Starts the sessions that are planned after one that has ended.

    Args:
        argv: The folder of the session that has ended.

    Returns:
        The exit code: 1 if one of them could not start.
    """
    # Behind everything else, so that nothing in the package's folder stands in a library's place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from cpr_nb.launching.planned_sessions import start_next

    problems = start_next(argv[0])
    for problem in problems:
        sys.stderr.write(f"planned session {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
