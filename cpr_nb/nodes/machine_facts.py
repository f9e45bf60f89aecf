"""What a node agent says of its machine: its CLI, login, git, memory, and what it sees."""

from __future__ import annotations

import json
import os
import select
import signal

from cpr_nb.model.cli_versions import AUTH_STATUS_SINCE, parse_version
from cpr_nb.model.environment import clean_environment
from cpr_nb.model.errors import ClaudeNotFound
from cpr_nb.runner import process
from cpr_nb.store.conversation import config_home
from cpr_nb.store.programs import find_claude
from cpr_nb.store.resources import free_memory_bytes
from cpr_nb.store.whereabouts import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ANSWER_S = 20.0


def machine_facts(probes: list[dict[str, str]]) -> dict[str, Any]:
    """The machine, as the hub's messages describe it. What is not known is None.

    Args:
        probes: Files of the runner's machine: whether the same ones are here.
    """
    environ = clean_environment(os.environ)
    try:
        claude_path = find_claude(None, environ)
    except ClaudeNotFound:
        claude_path = ""
    version = _version(claude_path, environ) if claude_path else None
    return {
        "host": os.uname().nodename,
        "boot_id": boot_id(),
        "claude_path": claude_path or None,
        "claude_version": version,
        "git_version": _git_version(environ),
        "login": _login(claude_path, version, environ),
        "free_memory_bytes": free_memory_bytes(),
        "sees": {probe["name"]: _sees(probe) for probe in probes},
    }


def _version(claude_path: str, environ: dict[str, str]) -> str | None:
    words = (output_of([claude_path, "--version"], environ) or "").split()
    return words[0] if words else None


def _login(claude_path: str, version: str | None, environ: dict[str, str]) -> bool | None:
    """Whether the CLI is logged in; None if it does not tell. It asks no server."""
    number = parse_version(version)
    if number is None or number < AUTH_STATUS_SINCE:
        return None
    ended = _run([claude_path, "auth", "status"], environ)
    try:
        status = json.loads(ended[0]) if ended else None
    except ValueError:
        return None
    answer = status.get("loggedIn") if isinstance(status, dict) else None
    return answer if isinstance(answer, bool) else None


def _git_version(environ: dict[str, str]) -> str | None:
    words = (output_of(["git", "--version"], environ) or "").split()
    return words[2] if len(words) > 2 else None


def _sees(probe: dict[str, str]) -> bool:
    """Whether a path is the same here: a folder without a nonce only has to be there.

    A path that is not absolute is one below the folder of the CLI's own configuration.
    """
    nonce = probe.get("nonce")
    path = os.path.join(config_home(os.environ), probe["path"])
    if not nonce:
        return os.path.isdir(path)
    return process.read_file(path).decode("utf-8", "replace").strip() == nonce


def output_of(argv: list[str], environ: dict[str, str]) -> str | None:
    """What a program prints; None if it can't be run, fails, or does not end in time.

    Example:
        >>> len(output_of(["echo", "a"], dict(os.environ)))
        2
    """
    ended = _run(argv, environ)
    return ended[0] if ended and not ended[1] else None


def _run(argv: list[str], environ: dict[str, str]) -> tuple[str, int] | None:
    """What a program prints, and how it ended; None if it can't be run."""
    stdin, stdout = os.open(os.devnull, os.O_RDWR), process.open_prompt(b"")
    encoded = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
    try:
        pid = process.spawn(argv, cwd="/", env=encoded, stdin=stdin, stdout=stdout, stderr=stdin)
        pidfd = process.open_pidfd(pid)
        if pidfd >= 0:
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            if not poller.poll(_ANSWER_S * 1000):
                process.kill_group(pid)
                process.signal_process(pid, signal.SIGKILL)
            os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        os.lseek(stdout, 0, os.SEEK_SET)
        return os.read(stdout, 1 << 16).decode("utf-8", "replace"), status
    except OSError:
        return None
    finally:
        os.close(stdin)
        os.close(stdout)
