"""Debian's packages, unpacked into a temporary folder; nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


def why_not() -> str:
    """Why no package can be had here; empty if one can."""
    missing = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    return f"there is no {', '.join(missing)}" if missing else ""


def unpacked(
    name: str,
    packages: Sequence[str],
    finish: Callable[[Path, Path], None] = lambda made, home: None,
) -> Path:
    """A folder that holds what is in these packages; made once for each name.

    Args:
        name: What it is for.
        packages: Their names, with a version where it matters (``name=version``).
        finish: Called with the folder as it is made, and the path that it will have.

    Raises:
        OSError: A package can't be had here; the message says why.
    """
    home = Path(tempfile.gettempdir(), f"cpr-test-packages-{os.getuid()}-{name}")
    if home.exists():
        return home
    made = Path(tempfile.mkdtemp(dir=home.parent, prefix="cpr-test-unpacking-"))
    try:
        made.chmod(0o755)
        output(["apt-get", "download", "-q", *packages], cwd=made)
        for package in made.glob("*.deb"):
            output(["dpkg", "-x", str(package), str(made)])
            package.unlink()
        finish(made, home)
        if not home.exists():  # nobody was quicker
            made.rename(home)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return home


def output(argv: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command says on stdout.

    Raises:
        OSError: It fails; the message says how.
    """
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout.strip()
