"""The program that sends one notice; a runner starts it: ``… FOLDER KIND [detached]``."""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> int:
    """Sends a notice.

    Args:
        argv: The session's folder, which notice, and perhaps ``detached``.

    Returns:
        The exit code: 1 if something went wrong that is nowhere else written down.
    """
    if "detached" in argv[2:] and os.fork():
        return 0  # whoever has started us goes on, and is not the parent of what sends
    # Behind everything else, so that nothing in the package's folder stands in a library's place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from cpr_nb.notices.notice_delivery import deliver

    try:
        deliver(argv[0], argv[1])
    except Exception as error:  # a message or a traceback may hold a secret
        sys.stderr.write(f"notice {argv[1]}: {type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
