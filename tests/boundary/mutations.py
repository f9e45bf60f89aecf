"""Takes every guard out, one at a time, and runs the test that must fail then: one table.

Usage: python tests/boundary/mutations.py [--only WORDS]…

The package is changed in a copy, with an environment of its own; yours stays as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for boundary

from boundary.guard import ROOT, Guard
from boundary.guards import all_guards
from boundary.table import line

HEADS = ("guard", "taken out of", "test", "without it the test")
_SCRIPT = "#!{python}\nfrom cpr_nb.cli.main import console\nconsole()\n"
#: Variables that say what a run of all tests must have driven.
_DEMANDS = ("CPR_REQUIRE_", "CPR_NO_SKIPS")
_FAILED = 1  # pytest: tests ran, and some failed; everything else is no proof


class Copy:
    """A copy of the project in a folder, with a Python that imports the package from there.

    Args:
        folder: The folder; it is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        for name in ("cpr_nb", "tests", "docs"):
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored, symlinks=True)
        for file in (ROOT / "pyproject.toml", *ROOT.glob("*.md")):
            shutil.copy2(file, self.root)
        venv.create(folder / "venv", symlinks=True)
        bin_folder = folder / "venv" / "bin"
        self.python = bin_folder / "python"
        libraries = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
        (own,) = (folder / "venv" / "lib").glob("python*/site-packages")
        # Plain lines: where the project is installed to be edited, that is no longer seen.
        (own / "copy.pth").write_text("\n".join([str(self.root), *dict.fromkeys(libraries)]) + "\n")
        for name in ("cpr", "claude"):
            installed = Path(sys.executable).with_name(name)
            if name != "cpr" and installed.exists():
                (bin_folder / name).symlink_to(installed)
        script = bin_folder / "cpr"
        script.write_text(_SCRIPT.format(python=self.python))
        script.chmod(0o755)

    def run(self, test: str) -> int:
        """Runs one test; returns pytest's exit code."""
        words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "", test]
        # What a whole run must have driven is no matter of one test.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_DEMANDS)}
        environ = {**inherited, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [str(self.python), *words],
            cwd=self.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.returncode

    def run_without(self, guard: Guard) -> int:
        """Runs the test of a guard without it; returns pytest's exit code."""
        module = self.root / "cpr_nb" / guard.file
        source = module.read_text()
        module.write_text(guard.taken_out(source))
        try:
            return self.run(guard.test)
        finally:
            module.write_text(source)


def is_caught(copy: Copy, guard: Guard) -> tuple[bool, str]:
    """Whether the guard's test passes with it and fails without it, and what happened."""
    code = copy.run(guard.test)
    if code:
        return False, f"fails with the guard, too (pytest: {code})"
    code = copy.run_without(guard)
    return code == _FAILED, {0: "PASSES", _FAILED: "fails"}.get(code, f"can't run (pytest: {code})")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--only", action="append", help="guards whose name has these words")
    args = parser.parse_args(argv)
    print(line(HEADS), line(["---"] * len(HEADS)), sep="\n", flush=True)
    n_bad = n_guards = 0
    with tempfile.TemporaryDirectory(prefix="cpr-mutations-") as folder:
        copy = Copy(Path(folder))
        for guard in all_guards():
            if args.only and not any(words in guard.name for words in args.only):
                continue
            caught, what = is_caught(copy, guard)
            print(line([guard.name, guard.file, guard.test, what]), flush=True)
            n_guards, n_bad = n_guards + 1, n_bad + (not caught)
    return 1 if n_bad or not n_guards else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
