"""Plays what a task can do and how it can end, here and on three nodes; prints what differs.

Usage: python tests/executors/compare.py [NAME …]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

# For testkit and executors.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sharing.comparison import IMPATIENT
from sharing.scenarios import SCENARIOS
from sharing.world import offline_cpr
from testkit.command import prompts

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi
from executors.place import Both, Place

_N_NODES = 3


def main(names: list[str]) -> int:
    """Compares them all, or those that are named."""
    elements = [SCENARIOS[name].element(name) for name in names or SCENARIOS]

    def scenario(place: Place) -> cpr.Session:
        (place.work / "given.txt").write_text("x\n")
        return place.launch(prompts(*elements), "-j4")

    with (
        tempfile.TemporaryDirectory(prefix="cpr-compare-") as folder,
        ScriptedApi() as local_api,
        ScriptedApi() as remote_api,
    ):
        root = Path(folder).resolve()
        env = {**offline_cpr(root, local_api).env, **IMPATIENT}
        local = Place(root / "local", env, 0, local_api)
        remote = Place(root / "remote", env, _N_NODES, remote_api)
        with local.nodes, remote.nodes:
            try:
                # How much of an answer that was cut off was written is chance.
                Both(local, remote).play(scenario, "output_tokens")
            except AssertionError as error:
                print(error)
                return 1
    print(f"{len(elements)} scenarios are the same here and on {_N_NODES} nodes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
