"""docs/versions.md: the table of what each option needs, from the versions in the code."""

from __future__ import annotations

import re
from pathlib import Path

from cpr_nb.model.cli_versions import NEEDS, NEWEST_TESTED, OLDEST_SUPPORTED, show

PAGE = Path(__file__).resolve().parents[1] / "versions.md"
_PART = re.compile(r"(?<=<!-- needs -->\n).*?(?=<!-- end of needs -->)", re.DOTALL)


def versions_page() -> str:
    """The current page with its table of needs updated (tests/battery.py makes the other one)."""
    rows = [f"| {_label(name)} | {show(since)} |" for name, since in NEEDS.items()]
    about = [
        f"The oldest supported version is {show(OLDEST_SUPPORTED)}; this release was tested with "
        f"versions up to {show(NEWEST_TESTED)}.",
        "",
        "| | needs Claude Code |",
        "|---|---|",
        f"| cpr | {show(OLDEST_SUPPORTED)} |",
    ]
    return _PART.sub("\n".join([*about, *rows, ""]), PAGE.read_text("utf-8"))


def _label(name: str) -> str:
    return f"`{name}`" if " " not in name else name
