"""All the guards of the boundary.

A module ``guards_<name>.py`` in this folder adds its guards by a list ``GUARDS``; nothing else
needs to know of it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from boundary.guard import Guard


def all_guards() -> list[Guard]:
    """The guards of every module, in the order of the modules' names."""
    guards: list[Guard] = []
    for file in sorted(Path(__file__).parent.glob("guards_*.py")):
        guards += importlib.import_module(f"boundary.{file.stem}").GUARDS
    return guards
