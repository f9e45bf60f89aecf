"""What axe-core finds wrong with a page for people who use no mouse, or a screen reader."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page, selector: str | None = None) -> list[str]:
    """Each rule that is broken, how seriously, and where.

    Args:
        page: The page.
        selector: The part of it that counts; default all of it.
    """
    broken = Axe().run(page, selector).response["violations"]
    return [
        f"{rule['impact']}: {rule['id']}: {node['html'][:200]}"
        for rule in broken
        for node in rule["nodes"]
    ]
