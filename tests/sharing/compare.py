"""Runs each scenario in a process of its own and in a shared one; prints what differs.

Usage: python tests/sharing/compare.py [NAME …]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

# For testkit and sharing.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cpr_nb.offline.scripted_api import ScriptedApi
from sharing.comparison import differences
from sharing.scenarios import SCENARIOS
from sharing.world import offline_cpr


def main(names: list[str]) -> int:
    """Compares them all, or those that are named."""
    with tempfile.TemporaryDirectory(prefix="cpr-compare-") as folder, ScriptedApi() as api:
        served = offline_cpr(Path(folder).resolve(), api)
        changed = differences(served, names or SCENARIOS)
    for scenario, fields in changed.items():
        for field, (own, shared) in fields.items():
            print(
                f"{scenario}: {field}: {own!r} in a process of its own, {shared!r} in a shared one"
            )
    print(f"{len(names or SCENARIOS)} scenarios, {len(changed)} differ")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
