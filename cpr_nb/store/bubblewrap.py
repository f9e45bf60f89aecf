"""The sandbox of commands of the user's that run what a sandboxed agent wrote: check and set-up.

It is as tight as that of the agent itself: a check runs the agent's code. The whole file system can
be read, the task's folder can be written, and there is no network.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What programs run of a folder as soon as somebody works there: the CLI's own sandbox keeps
# commands off it, too. The first three must not be made either.
_NOT_MADE = (".git", ".claude", ".mcp.json")
_KEPT = (
    *_NOT_MADE,
    *(".bashrc", ".bash_profile", ".zshrc", ".zprofile", ".profile"),
    *(".gitconfig", ".gitmodules", ".ripgreprc", ".vscode", ".idea"),
)
# Machine → its number in seccomp, and that of the system call `socket`.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_TMP = "/tmp"  # noqa: S108 - not the one of the machine
_IO_URING_SETUP = 425
_X32 = 0x40000000
_AF_UNIX = 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # to refuse is EPERM
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


def in_bubblewrap(
    argv: Iterable[str],
    folder: str,
    filter_fd: int,
    read_only: Iterable[str] = (),
    hidden: Iterable[str] = (),
    search_path: str = "",
) -> list[str]:
    """The arguments that run a command in the sandbox.

    Args:
        argv: The command.
        folder: Its folder; it can be written.
        filter_fd: The descriptor from which bubblewrap reads `socket_filter`.
        read_only: What can't be written, though it may lie there. What the folder itself lies in
            can't be written anyway.
        hidden: Folders that are empty for it.
        search_path: Its PATH.

    Returns:
        The argument list.

    Example:
        >>> in_bubblewrap(["true"], "/no/such/folder", 3)[-3:]
        ['/no/such/folder', '--', 'true']
    """
    folder = os.path.realpath(folder)
    words = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    words += ["--seccomp", str(filter_fd), "--ro-bind", "/", "/", "--dev", "/dev"]
    # Root, even without any capability, can write to some files in /proc.
    words += ["--proc", "/proc", "--remount-ro", "/proc"]
    # A temporary folder of its own: the real one belongs to everybody's programs.
    own = f"{_TMP}/cpr"
    words += ["--tmpfs", _TMP, "--dir", own, "--setenv", "TMPDIR", own]
    for place in _needed_of_tmp([folder, *search_path.split(os.pathsep)]):
        words += ["--ro-bind-try", place, place]
    words += ["--bind", folder, folder]
    for path in (*read_only, *(f"{folder}/{name}" for name in _KEPT)):
        if not f"{folder}/".startswith(f"{path}/"):
            words += ["--ro-bind-try", path, path]
    for path in _stand_ins(folder):
        if path.endswith(".json"):
            words += ["--ro-bind", "/dev/null", path]
        else:
            words += ["--tmpfs", path, "--remount-ro", path]
    for path in hidden:
        words += ["--tmpfs", path]
    return [*words, "--chdir", folder, "--", *argv]


def _needed_of_tmp(paths: Iterable[str]) -> list[str]:
    """What of the real temporary folder these paths lie in: there may be a whole project."""
    places = (os.path.realpath(path).split("/") for path in paths if path)
    return list(
        dict.fromkeys("/".join(parts[:3]) for parts in places if parts[1] == "tmp" and parts[2:])
    )


def remove_stand_ins(folder: str) -> None:
    """Removes what bubblewrap has left in a folder, where no command runs in it any more."""
    for path in _stand_ins(os.path.realpath(folder)):
        try:
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)
        except OSError:
            pass  # there was none


def _stand_ins(folder: str) -> list[str]:
    """What bubblewrap puts into a folder, empty, so that a command can't make it.

    Also those that are there and empty: a command that was killed has left them.
    """
    return [path for name in _NOT_MADE if _is_empty(path := f"{folder}/{name}")]


def _is_empty(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return not os.listdir(path)
        return os.lstat(path).st_size == 0
    except OSError:
        return not os.path.lexists(path)


def socket_filter(machine: str) -> bytes | None:
    """The program with which the kernel refuses to open Unix sockets, for `--seccomp`.

    Without a network, they would still lead to programs outside: to docker, or to systemd.

    Args:
        machine: The machine, as ``os.uname().machine``.

    Returns:
        The program; None for a machine whose numbers are not known here.
    """
    if machine not in _MACHINES:
        return None
    architecture, socket = _MACHINES[machine]
    steps = (
        (_LOAD, 0, 0, 4),  # the architecture of the call
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # its number
        (_IF_AT_LEAST, 5, 0, _X32),
        (_IF_EQUAL, 4, 0, _IO_URING_SETUP),  # which opens sockets without this call
        (_IF_EQUAL, 0, 2, socket),
        (_LOAD, 0, 0, 16),  # its first argument
        (_IF_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    return b"".join(
        code.to_bytes(2, "little") + bytes((if_true, if_false)) + operand.to_bytes(4, "little")
        for code, if_true, if_false, operand in steps
    )
