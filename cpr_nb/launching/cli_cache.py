"""What is known about a program of the CLI, kept in the user's cache folder: a file per program.

A program is recognised by its real path, size and time of change. A file that is missing, torn
or about another program counts as absent. Where nothing can be written, everything works without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from cpr_nb.model.cli_versions import parse_version, show, version_in
from cpr_nb.model.digest import sha256
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.store.cache_files import user_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.cli_versions import Version

#: A smaller script only starts another program, which may change without it.
SMALLEST_PROGRAM_BYTES = 1_000_000
#: `--version` takes 0.02 to 0.1 seconds; on a cold disk, five.
_ANSWER_LIMIT_S = 30.0


class CliRecord:
    """What is known about one program.

    Args:
        claude_path: The path by which the program is called.
        environ: The environment, for HOME and XDG_CACHE_HOME.

    Attributes:
        facts: Name → value; empty if nothing is known. ``version``; ``probe``: what `cpr doctor
            --probe` found; ``newness_reported``: whether a launch has said that it was never tried;
            ``sharing_mentioned``: whether one has said that its tasks could share processes.
    """

    def __init__(self, claude_path: str, environ: Mapping[str, str]) -> None:
        self._real_path = os.path.realpath(claude_path)
        digest = sha256(os.fsencode(self._real_path)).hexdigest()[:16]
        self._folder = user_folder(environ)
        self._file = os.path.join(self._folder, f"claude-{digest}.json")
        self._program = self._recognised_by()
        self.facts: dict[str, Any] = self._read()

    @property
    def version(self) -> Version | None:
        """The version that the program named; None if it named none."""
        return parse_version(self.facts.get("version"))

    def keep(self, **facts: Any) -> bool:
        """Adds facts; a script that starts another program is asked anew each time.

        Returns:
            Whether the next launch knows them.
        """
        self.facts |= facts
        if self._program is None or self._starts_another():
            return False
        data = json.dumps({**self._program, "facts": self.facts}).encode()
        temporary = os.path.join(self._folder, f".new-{new_uuid()}")
        try:
            os.makedirs(self._folder, exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            os.replace(temporary, self._file)
        except OSError:
            return False  # then it is asked again
        return True

    def _starts_another(self) -> bool:
        try:
            with open(self._real_path, "rb") as file:
                is_script = file.read(2) == b"#!"
                return is_script and os.fstat(file.fileno()).st_size < SMALLEST_PROGRAM_BYTES
        except OSError:
            return True  # it can't be read

    def _read(self) -> dict[str, Any]:
        try:
            with open(self._file, "rb") as file:
                stored = json.loads(file.read())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(stored, dict) or not isinstance(stored.get("facts"), dict):
            return {}
        facts = stored.pop("facts")
        return facts if stored == self._program else {}

    def _recognised_by(self) -> dict[str, Any] | None:
        try:
            status = os.stat(self._real_path)
        except OSError:
            return None
        return {"path": self._real_path, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def read_record(claude_path: str, environ: Mapping[str, str]) -> CliRecord:
    """What is known about the CLI; a program is asked for its version once.

    Args:
        claude_path: Its path.
        environ: The environment in which to ask it.
    """
    record = CliRecord(claude_path, environ)
    if "version" not in record.facts:
        output = _ask_version(claude_path, environ)
        if output is not None:
            version = version_in(output)
            record.keep(version=None if version is None else show(version))
    return record


def read_version(claude_path: str, environ: Mapping[str, str]) -> Version | None:
    """The version of the CLI; None if it does not say.

    Args:
        claude_path: Its path.
        environ: The environment in which to ask it.
    """
    return read_record(claude_path, environ).version


def _ask_version(claude_path: str, environ: Mapping[str, str]) -> str | None:
    """What the program prints; None if it can't be run, or takes too long."""
    import subprocess  # only for a program that is new

    try:
        done = subprocess.run(  # noqa: S603 - the program that the user's tasks will be given to
            [claude_path, "--version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_LIMIT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
