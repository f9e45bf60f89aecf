"""Everything that must pass: format, lint, types, layers, tests. One command, for CI too.

Usage: python tests/check.py [--all] [--fix] [arguments for pytest]

Without --all the tests marked `slow` are left out, which takes about 40 % of the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: Variables that say what a run of all tests must have driven: the real CLI, a browser.
REQUIREMENTS = "CPR_REQUIRE_"


def main(argv: list[str]) -> int:
    """Runs all checks; the first failure of a quick one does not hide the others."""
    fix, is_whole = "--fix" in argv, "--all" in argv
    rest = [word for word in argv if word not in ("--fix", "--all")]
    linters = [
        ["ruff", "format", *([] if fix else ["--check"]), "."],
        ["ruff", "check", *(["--fix"] if fix else []), "."],
        ["mypy"],
        ["lint-imports", "--no-logo"],
    ]
    failed = [" ".join(words) for words in linters if _run(words)]
    if failed:
        print(f"failed: {'; '.join(failed)}", file=sys.stderr)
    return _run_tests(rest, is_whole=is_whole) or len(failed)


def _run_tests(arguments: list[str], *, is_whole: bool) -> int:
    words = ["pytest", "-n", "auto", "--dist", "loadgroup"]
    if is_whole:
        return _run([*words, *arguments])
    environ = {k: v for k, v in os.environ.items() if not k.startswith(REQUIREMENTS)}
    return _run([*words, "-m", "not slow", *arguments], environ)


def _run(words: list[str], environ: dict[str, str] | None = None) -> int:
    print(f"$ {' '.join(words)}", flush=True)
    command = [str(BIN / words[0]), *words[1:]]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
