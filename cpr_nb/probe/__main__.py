"""``python -m cpr_nb.probe CLAUDE [NAME …]``: probes a CLI; one JSON object per scenario."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from cpr_nb.handles.wait_line import hidden
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.probe.engine import Probe
from cpr_nb.probe.scenarios import SCENARIOS
from cpr_nb.probe.shared import SHARING


def main(argv: Sequence[str]) -> None:
    """Probes the CLI that the first argument names.

    Args:
        argv: Its path, and the names of the scenarios to run; without names, all are run.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    claude_path, names = argv[0], argv[1:]
    scenarios = [one for one in SCENARIOS if not names or one.name in names]
    warnings.simplefilter("ignore")  # what a launch would say of this CLI
    temporary = tempfile.TemporaryDirectory(prefix="cpr-probe-")
    with temporary as folder, ScriptedApi() as api, hidden():
        probe = Probe(claude_path, Path(folder).resolve(), api)
        try:
            for finding in probe.run(scenarios):
                print(json.dumps(finding._asdict()), flush=True)
            if not names or SHARING in names:
                print(json.dumps(probe.run_sharing()._asdict()), flush=True)
        finally:
            probe.stop()
            os.chdir("/")  # the folder can be removed


if __name__ == "__main__":
    main(sys.argv[1:])
