"""The option ``executor``: which engine places the node agents of a session, and its words."""

from __future__ import annotations

import re

from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: Tasks run on this machine, without node agents.
LOCAL = "local"
DASK = "dask"
SLURM = "slurm"
SSH = "ssh"
#: Nothing places node agents: people, or programs of theirs, start ``cpr agent``.
AGENTS = "agents"
#: What a text can say. A Dask client is an object, so no text names one.
TEXTS = (LOCAL, SLURM, SSH, AGENTS)
ENGINES = (DASK, SLURM, SSH, AGENTS)

#: What cpr itself says to sbatch. In another form it comes later in the command, and so wins.
_OWN_OF_SBATCH = (
    *("--parsable", "--wrap", "--array", "-a", "--export", "--export-file", "--requeue"),
    *("--no-requeue", "--signal", "--open-mode", "--job-name", "-J", "--output", "-o", "--error"),
    *("-e", "--input", "-i", "--wait", "-W", "--test-only", "--get-user-env", "--chdir", "-D"),
)
_HOST = re.compile(r"(?!-)[A-Za-z0-9@._:/\[\]%-]{1,255}")


class EngineSpec:
    """An engine and its words.

    Args:
        name: One of `ENGINES`, or ``local``.
        words: The hosts of ssh, or the options of sbatch.
    """

    __slots__ = ("name", "words")

    def __init__(self, name: str, words: Sequence[str] = ()) -> None:
        self.name = name
        self.words = tuple(words)

    def as_json(self) -> dict[str, Any]:
        """What session.json says about it."""
        return {"name": self.name, "words": list(self.words)}


def parse_engine(text: str, where: str) -> EngineSpec:
    """Reads the text of the option ``executor``.

    Args:
        text: Such as ``slurm:--partition=long --time=4:00:00`` or ``ssh:host1,host2``.
        where: What to call it in an error.

    Raises:
        InputError: If it names no engine, or its words can't be right.

    Example:
        >>> parse_engine("ssh:h1,h2", "executor").words
        ('h1', 'h2')
        >>> parse_engine("slurm:--partition=long --time=4:00:00", "executor").words
        ('--partition=long', '--time=4:00:00')
    """
    name, colon, rest = text.partition(":")
    if name == DASK:
        raise InputError(
            "'dask' needs a client of Dask, which no text can name: in Python, pass "
            "executor=client (or executor='local')",
            where,
        )
    if name not in TEXTS:
        raise InputError(
            f"must be one of {', '.join(TEXTS)} or a client of Dask, not {text!r}", where
        )
    if name == SSH:
        return EngineSpec(name, _hosts(rest, where))
    if name == SLURM:
        return EngineSpec(name, _sbatch_options(rest, where))
    if colon:
        raise InputError(f"{name!r} takes nothing after a colon, not {rest!r}", where)
    return EngineSpec(name)


def is_client(value: object) -> bool:
    """Whether a value is a client of Dask; Dask is not imported for that."""
    return any(
        kind.__name__ == "Client" and kind.__module__.partition(".")[0] == "distributed"
        for kind in type(value).__mro__
    )


def check_executor(value: Any, where: str) -> Any:
    """Checks the value of the option ``executor``.

    Args:
        value: A text, or a client of Dask.
        where: What to call it in an error.

    Returns:
        The value.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(value, str):
        parse_engine(value, where)
        return value
    if is_client(value):
        return value
    if hasattr(value, "get_client") and hasattr(value, "scheduler_address"):
        raise InputError("is a cluster: pass its client, cluster.get_client()", where)
    raise InputError(
        f"must be one of {', '.join(TEXTS)} or a client of Dask, not {type(value).__name__}", where
    )


def _hosts(text: str, where: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",")]
    if not text.strip():
        raise InputError("names no host: write ssh:host1,host2", where)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise InputError(f"{host!r} can't be a host of ssh: write ssh:host1,host2", where)
    if len(set(hosts)) < len(hosts):
        raise InputError("names a host twice", where)
    return hosts


def _sbatch_options(text: str, where: str) -> list[str]:
    import shlex  # only for Slurm

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"can't be split into options of sbatch: {error}", where) from None
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            raise InputError(
                f"{word!r} is no option of sbatch: write values with '=', such as "
                "slurm:--partition=long --time=4:00:00",
                where,
            )
        short = word[:2] if not word.startswith("--") else ""
        if word.partition("=")[0] in _OWN_OF_SBATCH or short in _OWN_OF_SBATCH:
            raise InputError(f"{word!r} can't be passed to sbatch: cpr sets it itself", where)
    return words
