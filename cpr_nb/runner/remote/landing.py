"""Puts in its place what came home from a node: transcripts, and a task's work as a bundle."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
_OFFSET = "CPR.offset"


class Landed:
    """What has come home.

    Args:
        is_complete: Whether something came, and all that is needed.
        unprepared: Why the node could not make the checkout: the reason and the error, in JSON;
            empty if it could.
    """

    __slots__ = ("is_complete", "unprepared")

    def __init__(self, *, is_complete: bool = False, unprepared: bytes = b"") -> None:
        self.is_complete, self.unprepared = is_complete, unprepared


def land(
    spool: str, transcripts: str, bundle: str, setup_log: str, *, needs_bundle: bool = False
) -> Landed:
    """Puts all that a spool holds where it belongs, as if its process had run here.

    It may be called again. A spool that breaks off is good up to there.

    Args:
        spool: What came home, a tar stream; it is removed.
        transcripts: The folder in which the CLI would have kept the conversation here.
        bundle: Where a worktree helper finds the task's work.
        setup_log: Where the set-up's output goes.
        needs_bundle: Whether nothing counts without the bundle: a conversation must not go on
            about work that is lost.

    Returns:
        What has come.
    """
    import tarfile  # only sessions on nodes need it

    landed = Landed()
    places = {"bundle": bundle, "setup.log": setup_log}
    try:
        with tarfile.open(spool) as tar:
            members = list(_whole(tar))
            for member in members:
                if member.name == "unprepared.json":
                    landed.unprepared = _data(tar, member)
            names = [member.name for member in members]
            landed.is_complete = not needs_bundle or "bundle" in names
            for member in members if landed.is_complete else ():
                path = places.get(member.name) or _transcript(transcripts, member.name)
                if path:
                    _put(tar, member, path)
    except (tarfile.TarError, FileNotFoundError):
        pass  # nothing came
    try:
        os.unlink(spool)
    except FileNotFoundError:
        pass
    return landed


def _whole(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members that have come as a whole: its node may have been lost while it wrote."""
    import tarfile

    size = os.stat(str(tar.name)).st_size
    try:
        for member in tar:
            if member.isfile() and member.offset_data + member.size <= size:
                yield member
    except tarfile.TarError:
        pass


def _transcript(folder: str, name: str) -> str:
    """Where a transcript belongs; empty if the name is none."""
    kind, *parts = name.split("/")
    if kind != "transcripts" or not parts or any(part[:1] in ("", ".") for part in parts):
        return ""
    return "/".join((folder, *parts))


def _data(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    return source.read() if source is not None else b""


def _put(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    data = _data(tar, member)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    offset = int(member.pax_headers.get(_OFFSET, "0"))
    fd = os.open(path, _NEW_FILE, 0o600)
    try:
        os.ftruncate(fd, offset)
        os.lseek(fd, offset, os.SEEK_SET)
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
