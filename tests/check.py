"""Everything that must pass: format, lint, types, layers, tests. One command, for CI too.

Usage: python tests/check.py [--fix] [arguments for pytest]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def main(argv: list[str]) -> int:
    """Runs all checks; the first failure of a quick one does not hide the others."""
    fix = "--fix" in argv
    rest = [word for word in argv if word != "--fix"]
    quick = [
        ["ruff", "format", *([] if fix else ["--check"]), "."],
        ["ruff", "check", *(["--fix"] if fix else []), "."],
        ["mypy"],
        ["lint-imports", "--no-logo"],
    ]
    failed = [" ".join(words) for words in quick if _run(words)]
    if failed:
        print(f"failed: {'; '.join(failed)}", file=sys.stderr)
    code = _run(["pytest", "-n", "auto", "--dist", "loadgroup", *rest])
    return code or len(failed)


def _run(words: list[str]) -> int:
    print(f"$ {' '.join(words)}", flush=True)
    return subprocess.run([str(BIN / words[0]), *words[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
