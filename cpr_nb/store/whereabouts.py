"""Which machine this is, and through which file system it sees a folder."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: File systems that belong to one machine, so that its own kernel knows of every lock. Any other
#: one may be shared: NFS, SMB, 9p, virtiofs, Lustre, and all those that run as a process (FUSE).
LOCAL_FILE_SYSTEMS = frozenset(
    (
        *("apfs", "aufs", "bcachefs", "btrfs", "ecryptfs", "exfat", "ext2"),
        *("ext3", "ext4", "f2fs", "fuseblk", "hfs", "hfsplus", "jfs"),
        *("msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs"),
        *("rootfs", "tmpfs", "udf", "ufs", "vfat", "xfs", "zfs"),
    )
)
_LINUX = sys.platform.startswith("linux")


class Whereabouts:
    """A machine since its last start, and how it sees a session's folder.

    Args:
        host: The machine's name.
        boot_id: What changes with every boot; empty if that is not known.
        file_system: The type of the file system, in the kernel's words; empty if it is not known.

    Example:
        >>> Whereabouts("node1", "b1", "nfs4").is_network
        True
    """

    __slots__ = ("boot_id", "file_system", "host")

    def __init__(self, host: str, boot_id: str, file_system: str) -> None:
        self.host, self.boot_id, self.file_system = host, boot_id, file_system

    @property
    def is_network(self) -> bool:
        """Whether other machines may see the same folder."""
        return bool(self.file_system) and self.file_system not in LOCAL_FILE_SYSTEMS

    @classmethod
    def here(cls, folder: str) -> Whereabouts:
        """This machine, and how it sees a folder."""
        return cls(os.uname().nodename, boot_id(), file_system_of(folder))

    @classmethod
    def of_runner(cls, runner: dict[str, Any]) -> Whereabouts | None:
        """The machine of a session's newest runner.

        Args:
            runner: What runner.json says; empty if there is none.
        """
        names = ("host", "boot_id", "file_system")
        values = [runner.get(name) for name in names]
        host, boot, file_system = (v if isinstance(v, str) else "" for v in values)
        return cls(host, boot, file_system) if runner else None


def does_lock_prove(here: Whereabouts, runner: Whereabouts | None) -> bool:
    """Whether a lock that looks free here shows that the session has no runner.

    A kernel knows of the locks of its own processes, in all containers. After a reboot nobody
    holds one. But over a network file system another machine may hold it, and many of them tell
    nobody else.

    Args:
        here: This machine.
        runner: The machine of the newest runner; None if none has written runner.json yet.

    Example:
        >>> here = Whereabouts("node2", "b2", "nfs4")
        >>> does_lock_prove(here, Whereabouts("node1", "b1", "nfs4"))
        False
    """
    if runner is None:
        return not here.is_network
    if runner.boot_id == here.boot_id:
        return True
    # The folder may be on a disk of this machine, and the runner may see it over the network.
    return not (here.is_network or runner.is_network)


def boot_id() -> str:
    """Returns what changes with every boot of this machine; empty if that is not known."""
    if _LINUX:
        return _read("/proc/sys/kernel/random/boot_id").strip()
    return _output("sysctl", "-n", "kern.boottime").strip()


def file_system_of(folder: str) -> str:
    """The type of the file system that a folder is on; empty if it is not known.

    Example:
        >>> file_system_of("/proc") if sys.platform.startswith("linux") else "proc"
        'proc'
    """
    if not _LINUX:
        return _file_system_by_path(os.path.realpath(folder))
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fields = _read(f"/proc/self/fdinfo/{fd}").split()
    finally:
        os.close(fd)
    mount_id = fields[fields.index("mnt_id:") + 1] if "mnt_id:" in fields else ""
    for line in _read("/proc/self/mountinfo").splitlines():
        if line.startswith(f"{mount_id} "):
            return line.rpartition(" - ")[2].split(" ")[0]
    return ""


def _file_system_by_path(path: str) -> str:
    """The same from a table of mounts: ``DEVICE on FOLDER (TYPE, local, …)``."""
    best, name = "", ""
    for line in _output("mount").splitlines():
        mounted, _, flags = line.partition(" on ")[2].rpartition(" (")
        begin = mounted.rstrip("/") + "/"
        if f"{path}/".startswith(begin) and len(begin) > len(best):
            best, name = begin, flags.split(",")[0].rstrip(")")
    return name


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _output(*argv: str) -> str:
    import subprocess

    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout
