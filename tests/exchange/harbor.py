"""Asks Harbor's own validator what it thinks of our trajectories, and records its verdict.

    python tests/exchange/harbor.py --python python3.12

Harbor needs Python 3.12. So this makes an environment of its own, in a temporary folder, with the
version of Harbor below, exports the session of `fixed_session`, and asks about each file. Where all
are valid it records their digests in ``harbor_verdict.json``. The tests, which also run where there
is only Python 3.11, check that we still write exactly those files. It also breaks each file in ways
that the validator must refuse, so that a validator that accepts everything is no witness.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from fixed_session import write_fixed_session  # noqa: E402

from cpr_nb.exchange.exports import export_session  # noqa: E402
from cpr_nb.store.read import read_session  # noqa: E402

HARBOR = "harbor==0.26.0"
VERDICT = HERE / "harbor_verdict.json"


def export_fixed(folder: Path, *, redact: bool = False) -> Path:
    """Exports the fixed session; returns the folder with its trajectories."""
    snapshot = read_session(str(write_fixed_session(folder)))
    return export_session(snapshot, "atif", folder / "atif", redact=redact)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each trajectory."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def _broken(trajectory: dict[str, Any]) -> list[dict[str, Any]]:
    """What the validator must refuse: an unknown key, a wrong number of a step, no message."""
    first, *rest = trajectory["steps"]
    nameless = {key: value for key, value in first.items() if key != "message"}
    return [
        {**trajectory, "unknown": 1},
        {**trajectory, "steps": [{**first, "step_id": 7}, *rest]},
        {**trajectory, "steps": [nameless, *rest]},
    ]


def _is_valid(python: Path, path: Path) -> bool:
    command = [str(python), "-m", "harbor.utils.trajectory_validator", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    print(run.stdout.strip() or run.stderr.strip()[-300:])
    return run.returncode == 0


def main() -> int:
    """Records the verdict; returns 1 if it is not the one that we need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="python3.12", help="Python 3.12 or later")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([args.python, "-m", "venv", str(folder / "venv")], check=True)
        python = folder / "venv" / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "-q", HARBOR], check=True)
        recorded: dict[str, dict[str, str]] = {}
        for words, redact in (("whole", False), ("redacted", True)):
            (folder / words).mkdir()
            exported = export_fixed(folder / words, redact=redact)
            if not all(_is_valid(python, path) for path in sorted(exported.iterdir())):
                return 1
            recorded[words] = digests(exported)
            for path in sorted(exported.iterdir()):
                for number, broken in enumerate(_broken(json.loads(path.read_text()))):
                    bad = folder / f"broken-{number}.json"
                    bad.write_text(json.dumps(broken))
                    if _is_valid(python, bad):
                        return 1
    VERDICT.write_text(json.dumps({"validator": HARBOR, **recorded}, indent=1) + "\n")
    print(f"Recorded in {VERDICT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
