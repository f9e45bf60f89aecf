"""A session that takes the place of one of the user's: its name, its age, its identity."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cpr_nb as cpr

FORGED_ID = "f0000000-0000-4000-8000-00000000000f"
FORGED = "forged answer"
#: Later than every session that the user has launched.
LATER_S = 4_000_000_000


def forge(session: cpr.Session, *, is_live: bool = False) -> Path:
    """Copies one of the user's sessions as a stranger may who has read it, and changes its answers.

    Args:
        session: The session; it has ended.
        is_live: Whether the copy says that it runs, and has no lock.

    Returns:
        The copy's folder: as new as can be, with everything else that the session has.
    """
    folder = session.path.with_name(f"session-{FORGED_ID}")
    shutil.copytree(session.path, folder)
    for name in ("session.json", "status.json"):
        file = folder / name
        text = file.read_text().replace(session.id, FORGED_ID)
        start = f'"start_time":{json.loads(text)["start_time"]}'
        file.write_text(text.replace(start, f'"start_time":{LATER_S}'))
    for answer in folder.glob("task-*.txt"):
        answer.write_text(f"{FORGED}\n")
    for stream in folder.glob("task-*.jsonl"):
        stream.write_text(stream.read_text().replace('"done"', f'"{FORGED}"'))
    if is_live:
        (folder / "runner.lock").unlink()
        status = folder / "status.json"
        status.write_text(
            status.read_text().replace('"overall_status":"completed"', '"overall_status":"running"')
        )
    folder.chmod(0o755)
    return folder
