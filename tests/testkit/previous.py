"""The results directory that version 0.1.0 left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "store" / "previous-version"


def place_sessions(project: Path) -> Path:
    """Puts the recorded sessions into a project's folder, as if they had been made there."""
    results = project / "results"
    shutil.copytree(RECORDED / "sessions", results)
    for folder, _, files in os.walk(results):
        Path(folder).chmod(0o700)
        for file in (Path(folder) / name for name in files):
            move_home(file, project)
            file.chmod(0o600)
    for session in results.iterdir():
        (session / "requests").mkdir(mode=0o700)
    return results


def move_home(file: Path, project: Path) -> None:
    """Replaces the recorded project's folder and home in a file."""
    text = file.read_text().replace("/home/user/project", str(project))
    file.write_text(text.replace("/home/user", str(project.parent)))
