"""ssh places node agents: one on each host that the user names."""

from __future__ import annotations

import os
import shlex
import sys

from cpr_nb.executors.placing import Engine, Joining, Placed, last_line
from cpr_nb.model.errors import InputError, LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

_CONNECT_S = 10
_START_S = 60.0
#: Reads the join file from stdin and starts a node agent that outlives the connection. The keys
#: are in no argument: printf is a part of the shell. It prints where the agent's log is.
_SCRIPT = """umask 077
program=OWN
[ -x "$program" ] || program=$(command -v cpr) || {
    echo "there is no command cpr on PATH, and no OWN: install cpr_nb there" >&2; exit 127; }
log=$(mktemp "${TMPDIR:-/tmp}/cpr-agent-XXXXXX") || exit 1
keys=$(cat)
printf '%s\\n' "$keys" | nohup "$program" agent - OPTIONS >"$log" 2>&1 &
echo "$log"
"""


class SshEngine(Engine):
    """Starts a node agent on each host, over ssh; the agents then outlive the connection.

    Args:
        hosts: The hosts, as ssh takes them.
    """

    name = "ssh"

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = tuple(hosts)

    def check(self, nodes: int | None) -> None:
        """Refuses a machine without ssh; see `Engine.check`."""
        if nodes is not None:
            raise InputError("ssh has a node for each host that is named: leave it out", "nodes")
        import shutil

        if shutil.which("ssh") is None:
            raise InputError("there is no ssh on PATH", "executor: ssh")

    def place(self, joining: Joining, nodes: int | None) -> Placed:
        """Starts an agent on each host, on all of them at once; see `Engine.place`."""
        keys = joining.keys()
        begun = {host: _begin(host, _start_script(host, joining.slots)) for host in self._hosts}
        logs, failures = {}, []
        for host, process in begun.items():
            code, out, errors = _finish(process, keys)
            if code:
                failures.append(f"{host}: {last_line(errors) or f'ssh has ended with {code}'}")
            else:
                logs[host] = last_line(out)
        if not logs:
            raise LaunchError("; ".join(failures))
        return SshAgents(logs, failures)


class SshAgents(Placed):
    """The node agents that were started.

    Args:
        logs: Host → the path of its log there.
        failures: A line for each host on which none was started.
    """

    def __init__(self, logs: Mapping[str, str], failures: Sequence[str]) -> None:
        super().__init__(len(logs), failures)
        self._logs = logs

    def last_words(self) -> list[str]:
        """The last line of each log, fetched; see `Placed.last_words`."""
        begun = {
            host: _begin(host, f"tail -n 1 {shlex.quote(log)}") for host, log in self._logs.items()
        }
        words = {host: last_line(_finish(process, "")[1]) for host, process in begun.items()}
        return [f"{host}: {line}" for host, line in words.items() if line]


def node_name(host: str) -> str:
    """The name of the node on a host: without the user and the port.

    Example:
        >>> node_name("me@h1"), node_name("ssh://me@h1:2222")
        ('h1', 'h1')
    """
    bare = host.removeprefix("ssh://").rpartition("@")[2]
    name, colon, port = bare.rpartition(":")
    return name if colon and port.isdecimal() and ":" not in name else bare


def _start_script(host: str, slots: int | None) -> str:
    options = ["--name", node_name(host)]
    options += [] if slots is None else ["--slots", str(slots)]
    own = os.path.join(os.path.dirname(sys.executable), "cpr")
    script = _SCRIPT.replace("OWN", shlex.quote(own)).replace("OPTIONS", shlex.join(options))
    return f"exec sh -lc {shlex.quote(script)}"  # -l: the PATH that a person has there


def _begin(host: str, script: str) -> subprocess.Popen[str]:
    import subprocess  # only where nodes are placed

    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}"]
    return subprocess.Popen(  # noqa: S603 - without a shell here
        ["ssh", "-T", *options, "--", host, script],  # noqa: S607 - the user's own
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in a cell does not cut a start in two
    )


def _finish(process: subprocess.Popen[str], text: str) -> tuple[int, str, str]:
    import subprocess

    try:
        out, errors = process.communicate(text, timeout=_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 124, "", f"it did not answer within {_START_S:g} s"
    return process.returncode, out, errors
