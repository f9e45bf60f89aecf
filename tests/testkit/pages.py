"""The code blocks of the README and of docs/*.md, as a reader would paste them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
#: Languages of blocks that are code; the others show files and outputs.
CODE = ("python", "bash")
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?(?:<!--[^\n]+-->\n)?"
    r"```(?P<language>[a-z]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A block of a page.

    Args:
        heading: The heading of the second level that it stands under.
        line: The line at which its code begins.
        language: What its fence says.
        code: Its text.
        reason: Why it can't run in a test, as the page says in a comment above it; else None.
    """

    heading: str
    line: int
    language: str
    code: str
    reason: str | None


def read_blocks(text: str) -> list[Block]:
    """The blocks of a page, in order."""
    blocks = []
    for found in _BLOCK.finditer(text):
        before = text[: found.start("code")]
        headings = re.findall(
            r"^## (.+)$", re.sub(r"^```.*?^```$", "", before, flags=re.S | re.M), re.M
        )
        blocks.append(
            Block(
                headings[-1] if headings else "",
                before.count("\n") + 1,
                found["language"],
                found["code"],
                found["reason"],
            )
        )
    return blocks


def code_blocks(page: Path) -> list[Block]:
    """The blocks of a page that are code."""
    return [block for block in read_blocks(page.read_text("utf-8")) if block.language in CODE]
