"""Runs a part of the tests at the lowest versions that pyproject.toml allows.

Usage: python tests/lowest.py [arguments for pytest]

They are installed into .venv-lowest, which stays for the next run. Without arguments the tests of
tables, model and display run, except the slow ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-lowest"
PYTHON = VENV / "bin" / "python"
#: What users install beside the dependencies and the tests meet; the tools of the tests may be new.
OPTIONAL = (
    "ipykernel",
    "ipython",
    "jupyter_client",
    "jsonschema",
    "pyarrow",
    "pydantic",
    "scipy",
)
TOOLS = ("hypothesis", "pytest<9.2", "pytest-timeout", "pytest-xdist")
#: pandas 2.1 can't use a zone of the newest dateutil itself.
NOT_AT_LOWEST = (
    "tests/frames/test_odd_frames.py::"
    "test_a_zone_that_nobody_else_knows_costs_the_zone_and_not_the_frame[dateutil/Europe/Berlin]"
)
ARGUMENTS = [
    *("-m", "not slow and not real_cli", "--deselect", NOT_AT_LOWEST),
    *("tests/frames", "tests/model", "tests/display", "tests/stats"),
]


def lowest_versions() -> list[str]:
    """The dependencies, each at the lowest version that pyproject.toml states for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = re.compile(rf"({'|'.join(OPTIONAL)})\b")
    met = filter(optional.match, project["optional-dependencies"]["test"])
    return [_lowest(requirement) for requirement in (*project["dependencies"], *met)]


def _lowest(requirement: str) -> str:
    bound = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    if bound is None:
        sys.exit(f"pyproject.toml: {requirement} has no lower bound")
    return f"{bound[1]}=={bound[2]}"


def install(versions: list[str]) -> None:
    """Installs the project with exactly these versions."""
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    _run(["-m", "pip", "install", "-q", "-e", str(ROOT), *versions, *TOOLS]).check_returncode()


def _run(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    print(f"$ {PYTHON} {' '.join(words)}", flush=True)
    return subprocess.run([str(PYTHON), *words], cwd=ROOT, check=False)


def main(arguments: list[str]) -> int:
    """Installs and tests."""
    install(lowest_versions())
    words = ["-m", "pytest", "-n", "auto", "--dist", "loadgroup"]
    return _run([*words, *(arguments or ARGUMENTS)]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
