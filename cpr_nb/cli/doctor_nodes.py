"""``cpr doctor --nodes``: what each node of a session has and what it lacks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from cpr_nb.cli.common import open_session
from cpr_nb.cli.node_list import no_nodes
from cpr_nb.model import states
from cpr_nb.model.cli_versions import OLDEST_SUPPORTED, parse_version, show, version_in
from cpr_nb.model.text import one_line
from cpr_nb.store.files import read_json
from cpr_nb.store.read import Snapshot
from cpr_nb.store.resources import TASK_MEMORY_BYTES
from cpr_nb.views.node_line import node_words
from cpr_nb.views.nodes import node_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Whether it is good, its name, and the words for a person.
Finding = tuple[bool, str, str]

#: A clock that is further off than this makes the times in logs and transcripts useless.
_MAX_OFFSET_S = 60.0


def node_findings(args: argparse.Namespace) -> Iterator[Finding]:
    """What each node of a session said of its machine when it joined.

    Args:
        args: The arguments; ``nodes`` names the session, and without a name it is the newest.
    """
    args.session = args.nodes or None
    snapshot = open_session(args).snapshot
    nodes = node_rows(snapshot)
    if not nodes:
        yield False, "nodes", no_nodes(snapshot)
    elif snapshot.state in (states.INTERRUPTED, states.UNREACHABLE):
        yield False, "session", f"{snapshot.state}; what its runner last knew of its nodes:"
    version = str(read_json(snapshot.paths.runner).get("claude_version"))
    for node in nodes:
        checks = list(_checks(node, snapshot, version))
        words = "; ".join(text for _, text in checks)
        yield all(good for good, _ in checks), node["name"], words


def _checks(
    node: dict[str, Any], snapshot: Snapshot, runners_version: str
) -> Iterator[tuple[bool, str]]:
    state = node["state"]
    login = False if state == states.NO_LOGIN else node["login"]
    if state not in (states.LIVE, states.NO_LOGIN):
        is_over = state == states.LEFT and not snapshot.is_live
        yield is_over, node_words(node, snapshot) or state
    yield from _version(node, runners_version)
    if login is not None:
        takes = ", takes no tasks" if state == states.NO_LOGIN else ""
        yield login, "logged in" if login else f"not logged in{takes}"
    git = node["git_version"]
    yield True, f"git {one_line(git, 40)}" if git else "no git found"
    if (free := node["free_memory_bytes"]) is not None:
        yield free >= TASK_MEMORY_BYTES, f"{free / 1e9:.1f} GB free"
    if (offset_s := node["clock_offset_s"]) is not None:
        way = "ahead of" if offset_s > 0 else "behind"
        is_near = abs(offset_s) < 1  # the message took a moment
        text = "clock as here" if is_near else f"clock {abs(offset_s):.1f} s {way} the runner's"
        yield abs(offset_s) <= _MAX_OFFSET_S, text


def _version(node: dict[str, Any], runners_version: str) -> Iterator[tuple[bool, str]]:
    """The version of its CLI: a launch was checked for that of the runner's machine."""
    text, path = node["claude_version"], node["claude_path"]
    if not text:
        words = f"{one_line(path, 160)} tells no version" if path else "no Claude Code CLI found"
        yield False, words
        return
    version, own = version_in(text) or parse_version(text), parse_version(runners_version)
    shown = f"Claude Code {show(version) if version else one_line(text, 40)}"
    shown = f"{shown}, {one_line(path, 160)}" if path else shown
    if version is not None and version < OLDEST_SUPPORTED:
        yield False, f"{shown}: cpr_nb needs {show(OLDEST_SUPPORTED)} or newer"
    elif version and own and version != own:
        yield version > own, f"{shown}: the runner's machine has {show(own)}"
    else:
        yield True, shown
