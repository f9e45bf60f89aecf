"""Processes: start one, recognise it later, end its whole tree.

A process is identified by (pid, start time, boot id), since pids are reused. An agent's shells
have sessions and process groups of their own, so a group is not the tree. Everything that was
started for a task is found by a unique variable in its environment.

On Linux all of this comes from ``/proc``. Elsewhere (macOS) ``ps`` shows the same, with a start
time in whole seconds; the project's own tests do not run that part.
"""

from __future__ import annotations

import os
import select
import sys

from cpr_nb.model.environment import CONVERSATION_VARIABLE, NODE_VARIABLE, TOKEN_VARIABLE
from cpr_nb.runner.builtin import signal
from cpr_nb.store.whereabouts import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LINUX = sys.platform.startswith("linux")
_DEFAULTS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
# How often a sweep repeats, for what was forked during the one before.
_SWEEPS = 20
# How long a killed process may take to end; one that waits for a dead disk never does.
_DEATH_S = 1.0


def spawn(
    argv: list[str],
    *,
    cwd: str,
    env: Mapping[bytes, bytes],
    stdin: int,
    stdout: int,
    stderr: int,
    fourth: int | None = None,
) -> int:
    """Starts a process in a session of its own, with these descriptors and no others.

    ``posix_spawn`` rather than ``subprocess``: that module alone is a tenth of the runner's
    memory, and half of the cost of starting a task. It has no working folder, so this process
    changes to it first, and back: it has one thread.

    Args:
        argv: The program's path, and its arguments.
        cwd: Its working folder.
        env: Its whole environment, encoded.
        stdin: Descriptor that becomes its stdin; likewise ``stdout`` and ``stderr``.
        stdout: As above.
        stderr: As above.
        fourth: One more, which becomes its descriptor 3.

    Returns:
        Its pid. The caller reaps it.

    Raises:
        OSError: If it can't be started; ``filename`` names the folder or the program.
    """
    # Every other descriptor of ours is close-on-exec (PEP 446).
    fds = [stdin, stdout, stderr] + ([] if fourth is None else [fourth])
    actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate(fds)]
    here_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(cwd)
        return os.posix_spawnp(
            argv[0],
            argv,
            env,
            file_actions=actions,
            setsid=True,
            # What Python ignores, or a shell's & ignored, must not stay ignored in the child.
            setsigmask=(),
            setsigdef=_DEFAULTS,
        )
    finally:
        os.fchdir(here_fd)
        os.close(here_fd)


def pid_namespace() -> str:
    """Returns the name of the namespace in which our pids mean something; empty if unknown."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def sees_processes() -> bool:
    """Whether the pids that the system shows us are pids of our own PID namespace.

    Not so in a namespace that did not mount a ``/proc`` of its own.
    """
    try:
        return not LINUX or os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def start_time(pid: int) -> str | None:
    """Returns when a process was started, in the kernel's words; None if there is none.

    With the boot's id it shows whether a pid is still the same process. A zombie counts as gone.
    """
    if LINUX:
        fields = stat_fields(pid)
        return None if not fields or fields[0] == b"Z" else fields[19].decode()
    return _output("ps", "-o", "lstart=", "-p", str(pid)).decode().strip() or None


def is_stopped(pid: int, started: str, boot: str) -> bool:
    """Returns whether a process stands still, by SIGSTOP or Ctrl-Z for example.

    Args:
        pid: The process.
        started: When it was started, as `start_time` says it: a pid may be reused.
        boot: The boot that this was in, as `boot_id` says it.
    """
    if start_time(pid) != started or boot_id() != boot:
        return False
    if LINUX:
        return stat_fields(pid)[:1] in ([b"T"], [b"t"])
    return _output("ps", "-o", "state=", "-p", str(pid)).startswith(b"T")


def open_prompt(prompt: bytes) -> int:
    """Returns a descriptor from which a process can read the prompt; nothing is on disk."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("prompt")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    left = memoryview(prompt)
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def signal_process(pid: int, number: int, pidfd: int | None = None) -> None:
    """Sends a signal to a process.

    Args:
        pid: The process; without ``pidfd``, a child of ours that has not been reaped. 0 if it is
            gone.
        number: The signal.
        pidfd: A descriptor of the process, if its pid may be reused by now; -1 if the system
            has none.
    """
    try:
        if pidfd is not None and pidfd >= 0:
            signal.pidfd_send_signal(pidfd, number)
        elif pid > 0:  # 0 would be our own group
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def open_pidfd(pid: int) -> int:
    """Returns a descriptor that is readable once the process has ended; -1 if there is none."""
    if not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except (OSError, OverflowError):  # gone; or a number that no process has
        return -1


def find_marked(prefix: str) -> dict[str, list[int]]:
    """Finds the processes whose token begins with ``prefix``: token → pids, oldest first."""
    if not sees_processes():
        return {}
    mark = f"{TOKEN_VARIABLE}={prefix}".encode()
    by_token: dict[str, list[tuple[int, int]]] = {}
    for pid in _own_processes():
        for variable in _environment(pid):
            if variable.startswith(mark) and (started := start_time(pid)) is not None:
                token = variable.partition(b"=")[2].decode("utf-8", "replace")
                age = int(started) if started.isdigit() else 0
                by_token.setdefault(token, []).append((age, pid))
    return {token: [pid for _, pid in sorted(pids)] for token, pids in by_token.items()}


def open_marked(pid: int, token: str) -> int | None:
    """Opens a process that was started for an attempt, whoever says that it was.

    Args:
        pid: The process.
        token: The attempt's token.

    Returns:
        A descriptor that is readable once it has ended, -1 if the system has none; None if the
        process does not carry the token.
    """
    pidfd = open_pidfd(pid)  # first: then the pid can't be reused
    is_marked = f"{TOKEN_VARIABLE}={token}".encode() in _environment(pid)
    if is_marked and sees_processes():
        return pidfd
    if pidfd >= 0:
        os.close(pidfd)
    return None


def leads_session(pid: int) -> bool:
    """Whether a process leads a session of its own, as what we start does."""
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def writes_to(pid: int, path: str) -> bool:
    """Whether a file is what a process has as its stdout."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/1"), os.stat(path))
    except OSError:
        return False


def kill_group(pid: int) -> None:
    """Kills the process group that a process of ours leads."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # macOS answers EPERM for a group of zombies


def sweep(
    tokens: Iterable[str],
    conversations: Iterable[tuple[str, str, int]] = (),
    lives: Iterable[str] = (),
) -> int:
    """Kills every process that was started for one of these attempts, and waits for their end.

    Args:
        tokens: Values of the token variable.
        conversations: Values of the token variable, each with a conversation, and with the leader
            of a session of processes: what is in that session is spared.
        lives: Lives of node agents: all that they have started.

    Returns:
        How many processes were killed.
    """
    wanted = _Wanted(tokens, conversations, lives)
    killed: set[int] = set()
    for _ in range(_SWEEPS if wanted.any and sees_processes() else 0):
        pidfds = {pid: fd for pid in _own_processes() if (fd := _kill_if(pid, wanted)) is not None}
        if not pidfds:
            break
        killed |= set(pidfds)
        _await_ends([fd for fd in pidfds.values() if fd >= 0])
    return len(killed)


class _Wanted:
    """Which processes a sweep kills: by their environment, and by the session they belong to."""

    __slots__ = ("_conversations", "_tokens", "any")

    def __init__(
        self,
        tokens: Iterable[str],
        conversations: Iterable[tuple[str, str, int]],
        lives: Iterable[str],
    ) -> None:
        self._tokens = {_marker(token) for token in tokens}
        self._tokens |= {f"{NODE_VARIABLE}={life}".encode() for life in lives}
        self._conversations = [
            (_marker(token), f"{CONVERSATION_VARIABLE}={conversation_id}".encode(), leader_pid)
            for token, conversation_id, leader_pid in conversations
        ]
        self.any = bool(self._tokens or self._conversations)

    def has(self, pid: int) -> bool:
        """Whether a process is among them."""
        variables = _environment(pid)
        if self._tokens & variables:
            return True
        leaders = [
            leader_pid
            for token, conversation, leader_pid in self._conversations
            if token in variables and conversation in variables
        ]
        try:
            return bool(leaders) and os.getsid(pid) not in leaders
        except OSError:
            return False


def _marker(token: str) -> bytes:
    return f"{TOKEN_VARIABLE}={token}".encode()


def _kill_if(pid: int, wanted: _Wanted) -> int | None:
    """Kills a process if it is among the wanted ones, and never another one instead.

    Returns:
        A descriptor of it (-1 if the system has none); None if it was not killed.
    """
    if not wanted.has(pid):
        return None
    if not hasattr(os, "pidfd_open"):
        signal_process(pid, signal.SIGKILL)
        return -1
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        if wanted.has(pid):  # again: the pid may have been reused
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return pidfd
    except OSError:
        pass
    os.close(pidfd)
    return None


def _await_ends(pidfds: list[int]) -> None:
    """Waits until these processes are gone: on a busy machine that takes a while."""
    poller, left = select.poll(), set(pidfds)
    for pidfd in pidfds:
        poller.register(pidfd, select.POLLIN)
    while left and (ready := poller.poll(_DEATH_S * 1000)):
        for pidfd, _ in ready:
            poller.unregister(pidfd)
            left.discard(pidfd)
    for pidfd in pidfds:
        os.close(pidfd)


def _own_processes() -> list[int]:
    me = os.getpid()
    if LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != me]
    listing = _output("ps", "-x", "-o", "pid=").split()
    return [int(pid) for pid in listing if int(pid) != me]


def _environment(pid: int) -> set[bytes]:
    """Returns the variables of a process, as far as we may see them; a zombie has none."""
    if LINUX:
        return set(read_file(f"/proc/{pid}/environ").split(b"\0"))
    return set(_output("ps", "-E", "-ww", "-o", "command=", "-p", str(pid)).split())


def run_delay_s(pid: int) -> float:
    """How long a process was ready to run and had no core, in seconds; 0 if that is not known."""
    fields = read_file(f"/proc/{pid}/schedstat").split()
    return int(fields[1]) / 1e9 if len(fields) > 1 and fields[1].isdigit() else 0.0


def stat_fields(pid: int) -> list[bytes]:
    """The fields of ``/proc/PID/stat`` after the name, which may hold spaces and brackets."""
    return read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def read_file(path: str) -> bytes:
    """Returns what a file of the kernel says; empty if it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""  # ended meanwhile, or not ours
    finally:
        os.close(fd)


def _output(*argv: str) -> bytes:
    import subprocess

    return subprocess.run(argv, capture_output=True, check=False).stdout  # noqa: S603
