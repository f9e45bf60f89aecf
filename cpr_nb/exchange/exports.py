"""The formats that a session is exported to, and the one way in which their files are written."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple, Protocol

from cpr_nb.exchange.session_record import SessionRecord
from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot


class Format(NamedTuple):
    """A format of another tool.

    Args:
        module: The module of `cpr_nb.exchange.writers` whose ``write`` is its `Exporter`.
        suffix: How the names of its files end; "" for a folder with one file per task.
        words: What it is, for the help.
        needs_suffix: Whether its readers open no file whose name ends otherwise.
    """

    module: str
    suffix: str
    words: str
    needs_suffix: bool = False


class Exporter(Protocol):
    """Writes a session in one format.

    Args:
        record: The session.
        path: The file to write, or the folder to write into, which is empty.
        with_content: Whether a format whose content is optional holds it.
    """

    def __call__(self, record: SessionRecord, path: str, *, with_content: bool) -> None:
        """Writes it."""


#: Name → format.
FORMATS = {
    "inspect": Format("inspect_log", ".eval", "a log of Inspect: inspect view, samples_df", True),
    "atif": Format("atif_folder", "", "ATIF, the trajectories of Harbor: a folder, one per task"),
    "ctrf": Format("ctrf_report", ".ctrf.json", "CTRF, test results for CI"),
    "junit": Format("junit_report", ".xml", "JUnit XML, test results for CI"),
    "otel": Format("otel_spans", ".otlp.jsonl", "OpenTelemetry spans, in OTLP JSON lines"),
}
#: The format whose content is optional.
_WITHOUT_CONTENT = "otel"


def export_session(
    snapshot: Snapshot,
    to: str,
    path: str | os.PathLike[str] | None = None,
    *,
    redact: bool = False,
    with_content: bool = False,
) -> Path:
    """Writes a session in the format of another tool.

    Args:
        snapshot: The session, with its tasks.
        to: The name of the format, one of `FORMATS`.
        path: The file, which is replaced; or the folder, which must be empty or missing. By
            default one in the current folder that is named after the session.
        redact: Whether to leave out whatever the user or an agent has written.
        with_content: Whether a format whose content is optional holds it.

    Returns:
        The file or folder.

    Raises:
        InputError: If there is no such format, or the path can't be written.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> export_session(read_session("/none/session-1"), "pdf")
        Traceback (most recent call last):
        cpr_nb.InputError: to: no format 'pdf'; there are inspect, atif, ctrf, junit, otel
    """
    if to not in FORMATS:
        raise InputError(f"no format {to!r}; there are {', '.join(FORMATS)}", "to")
    if with_content and to != _WITHOUT_CONTENT:
        words = f"is for {_WITHOUT_CONTENT}; {to} has the content unless it is redacted"
        raise InputError(words, "with_content")
    if with_content and redact:
        raise InputError("redact leaves out what with_content asks for: give one of them", to)
    chosen, record = FORMATS[to], SessionRecord(snapshot, redact=redact)
    module = importlib.import_module(f"cpr_nb.exchange.writers.{chosen.module}")
    target = Path(path if path is not None else _default_name(snapshot, to, chosen))
    if chosen.needs_suffix and target.suffix != chosen.suffix:
        words = f"{to.capitalize()} opens only files whose names end in {chosen.suffix}"
        raise InputError(f"{words}: name it {target.name}{chosen.suffix}", str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    write: Exporter = module.write
    try:
        _check(target, is_folder=not chosen.suffix)
        try:
            if not chosen.suffix:
                temporary.mkdir()
            write(record, str(temporary), with_content=with_content)
            temporary.replace(target)
        except BaseException:
            _remove(temporary)
            raise
    except OSError as error:
        raise InputError(f"can't write {target}: {error.strerror or error}", to) from None
    return target


def _default_name(snapshot: Snapshot, to: str, chosen: Format) -> str:
    return f"{to}-{snapshot.session_id[:8]}{chosen.suffix}"


def check_path(to: str, path: str | os.PathLike[str]) -> None:
    """Refuses a path that an export could not be written to, while nothing has been spent yet.

    Args:
        to: The name of the format, one of `FORMATS`.
        path: The file or folder that will be written.

    Raises:
        InputError: If its folder is missing or can't be written to, or something else is there.

    Example:
        >>> check_path("junit", "/no/such/folder/junit.xml")
        Traceback (most recent call last):
        cpr_nb.InputError: /no/such/folder/junit.xml: there is no folder /no/such/folder
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}", str(target))
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"the folder {target.parent} can't be written to", str(target))
    _check(target, is_folder=not FORMATS[to].suffix)


def _check(target: Path, *, is_folder: bool) -> None:
    """Refuses what must not be replaced.

    Raises:
        InputError: If it is a link, which a repository may have brought, or another kind of file,
            or a folder that holds something.
    """
    if target.is_symlink():
        raise InputError("it is a link: name the file itself", str(target))
    if is_folder and target.is_dir() and any(target.iterdir()):
        raise InputError("this folder holds files already: name another one", str(target))
    if target.exists() and target.is_dir() != is_folder:
        words = "a file is in its place" if is_folder else "a folder is in its place"
        raise InputError(f"{words}: name another one", str(target))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
