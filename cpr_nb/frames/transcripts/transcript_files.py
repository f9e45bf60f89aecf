"""Where the transcripts of Claude Code are: the folder, and the files in it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cpr_nb.model.errors import InputError
from cpr_nb.store.catalog import has_sessions, is_session
from cpr_nb.store.files import read_file

_ENDING = ".jsonl"
_NOTE_ENDING = ".meta.json"
_AGENT_PREFIX = "agent-"
_COMPACTION_PREFIX = "agent-acompact-"


class TranscriptFile(NamedTuple):
    """One file.

    Args:
        path: Its path below the folder.
        inode: Its inode.
        size_bytes: Its size.
        mtime_ns: When it was changed last.
    """

    path: str
    inode: int
    size_bytes: int
    mtime_ns: int

    @property
    def agent_id(self) -> str | None:
        """The subagent whose file it is; None for the file of a conversation."""
        return agent_id_of(self.path)


def agent_id_of(path: str) -> str | None:
    """The subagent that a file is of, by the file's name; None if it is a conversation's.

    Example:
        >>> agent_id_of("-w/1f/subagents/agent-a12.jsonl")
        'a12'
    """
    name = path.rpartition("/")[2]
    return name[len(_AGENT_PREFIX) : -len(_ENDING)] if name.startswith(_AGENT_PREFIX) else None


def is_compaction(path: str) -> bool:
    """Whether a file holds the request that summarised a conversation."""
    return path.rpartition("/")[2].startswith(_COMPACTION_PREFIX)


def parent_call(folder: str, file: TranscriptFile) -> str | None:
    """The call that started a subagent, as the CLI notes it beside the subagent's file."""
    if file.agent_id is None:
        return None
    try:
        note = read_file(f"{folder}/{file.path[: -len(_ENDING)]}{_NOTE_ENDING}")
        call = json.loads(note)["toolUseId"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return call if isinstance(call, str) else None


def transcripts_folder(folder: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str:
    """The real path of the folder with transcripts.

    Args:
        folder: The folder; None for that of the user's own Claude Code.
        environ: The environment, for CLAUDE_CONFIG_DIR and HOME.

    Raises:
        InputError: If there is no such folder, or it has sessions of cpr and no transcript.
    """
    if folder is None:
        configuration = environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '~')}/.claude"
        path = f"{configuration}/projects"
        hint = "Claude Code keeps its transcripts there; name another folder if yours are elsewhere"
    else:
        path, hint = os.fspath(folder), "name a folder with transcripts"
    try:
        real = Path(path).expanduser().resolve()
        is_there = real.is_dir()
    except (ValueError, OSError, RuntimeError):  # a NUL, a circle of links, no such user
        is_there = False
    if not is_there:
        raise InputError(f"there is no folder {path!r}: {hint}", "folder")
    if has_sessions(str(real)) and not list_transcripts(str(real)):
        raise InputError(
            "holds sessions of cpr, and no transcripts of Claude Code: cpr.tasks_df is their table",
            path,
        )
    return str(real)


def list_transcripts(folder: str) -> list[TranscriptFile]:
    """The files in a folder, at any depth, in the order of their paths.

    Symbolic links are not followed, so that no file counts twice. A folder in it that can't be
    listed is left out, and so is a session of cpr: what its agents did is in their own transcripts.

    Raises:
        InputError: If the folder itself can't be listed.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", folder) from None
    return [] if is_session(folder) else sorted(_files(folder, ""))


def _files(root: str, below: str) -> Iterator[TranscriptFile]:
    try:
        with os.scandir(f"{root}/{below}") as entries:
            folders = []
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.name.endswith(_ENDING) and entry.name.isprintable():
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        path = f"{below}{entry.name}"
                        inode = status.st_ino & ((1 << 63) - 1)
                        yield TranscriptFile(path, inode, status.st_size, status.st_mtime_ns)
    except OSError:
        return
    for name in folders:
        if name.isprintable() and not is_session(f"{root}/{below}{name}"):
            yield from _files(root, f"{below}{name}/")
