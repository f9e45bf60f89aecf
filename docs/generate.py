"""Makes the generated pages and pictures of the documentation, and the outputs of the notebooks.

Usage: python docs/generate.py [NAME …]

A NAME is options, tables, architecture, states, versions, sharing, picture, live-view,
inspect-view or notebooks.

Without an argument everything is made. The pictures and the notebooks run the real Claude Code CLI
against the scripted API of `cpr demo`; `live-view` and `inspect-view` need
Chromium. `sharing` takes minutes: it gets
older versions of the CLI and measures what carries over in a shared process of each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from generators.architecture import architecture_page
from generators.inspect_picture import draw_inspect
from generators.notebooks import execute_all
from generators.options import options_page
from generators.pictures import draw_notebook, draw_terminal
from generators.sharing import measure_sharing
from generators.states import states_page
from generators.tables import tables_page
from generators.versions import versions_page

DOCS = Path(__file__).resolve().parent
#: The text of each generated page, by the name of its file.
PAGES: dict[str, Callable[[], str]] = {
    "options": options_page,
    "tables": tables_page,
    "architecture": architecture_page,
    "states": states_page,
    "versions": versions_page,
}
TARGETS: dict[str, Callable[[], object]] = {
    "sharing": measure_sharing,
    "picture": lambda: draw_terminal(DOCS / "watch.svg"),
    "live-view": lambda: draw_notebook(DOCS / "live-view.png"),
    "inspect-view": lambda: draw_inspect(DOCS / "inspect-view.png"),
    "notebooks": execute_all,
}


def main(names: list[str]) -> None:
    """Makes what the names say, or everything."""
    for name in names or [*PAGES, *TARGETS]:
        if name in PAGES:
            (DOCS / f"{name}.md").write_text(PAGES[name](), "utf-8")
        else:
            TARGETS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
