"""The hub: the runner's side of the wire. ``python -I …/hub.py [LIBRARY_DIR…]``.

Its stdin is a socket pair with the runner: orders come in, and what happens on the nodes goes out.
It writes the streams that nodes send into the session's folder, keeps the time of all leases, and
ends when the runner does.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # After the standard library, so that nothing there can stand in its place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sys.path.extend(folder for folder in sys.argv[1:] if folder not in sys.path)

from cpr_nb.nodes.hub_link import HubLink


def main() -> int:
    """Serves one runner."""
    os.set_inheritable(0, False)
    link = HubLink(0)
    try:
        from cpr_nb.nodes.hub_loop import HubLoop

        loop = HubLoop(link)
    except Exception as error:
        link.send("failed", why=f"the hub can't start: {error}")
        link.flush()
        return 1
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
