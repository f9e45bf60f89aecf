"""How a session was run: its options, the versions, the code that its agents worked on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.text import one_line, shorten
from cpr_nb.store.files import read_json
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec, task_of
from cpr_nb.store.times import parse_iso
from cpr_nb.views import formatting
from cpr_nb.views.nodes import nodes_of
from cpr_nb.views.served_tasks import served_line

_VALUE_CHARS = 300
#: Kinds of options whose values say nothing of what the user or an agent has written.
_FIGURES = ("count", "seconds", "usd", "share", "moment", "flag", "choice")
#: Kinds of options that may hold secrets: a page to share names them, and no more.
_NAMES_ONLY = ("agents", "mcp_servers", "settings", "env")
# What has a line of its own, or says nothing to a reader.
_LEFT_OUT = ("name", "cwd", "worktree_dir", "worktree", "max_parallel", "permissions", "schema")


class Fact(NamedTuple):
    """One line of the list.

    Args:
        name: What it is.
        value: What it was.
        is_code: Whether the value is something that a machine reads.
    """

    name: str
    value: str
    is_code: bool = False


def how_it_ran(snapshot: Snapshot, *, redact: bool) -> list[Fact]:
    """Returns how a session was run, as far as its folder tells.

    Args:
        snapshot: The session.
        redact: Whether to leave out paths, commands and texts of the user's.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> gone = Snapshot(SessionPaths("/none/session-1"), {}, [], "unreadable")
        >>> [fact.name for fact in how_it_ran(gone, redact=True)]
        ['Session', 'State', 'Versions']
    """
    spec = read_spec(snapshot.paths)
    options = spec.get("options")
    options = options if isinstance(options, dict) else {}
    facts = [
        Fact("Session", snapshot.session_id, is_code=True),
        Fact("State", snapshot.state),
        Fact("Continues", _parents(snapshot), is_code=True),
        Fact("Ran", _ran(snapshot)),
        Fact("Code", _code(snapshot, spec, options, redact=redact)),
        Fact("Models", _models(snapshot)),
        Fact("Permissions", one_line(str(snapshot.head.get("permissions") or ""))),
        Fact("At once", str(snapshot.count("max_parallel") or "")),
        *_option_facts(options, redact=redact),
        Fact("Answer", "" if redact else _schema(options.get("schema")), is_code=True),
        Fact("Nodes", _nodes(snapshot, redact=redact)),
        Fact("Processes", served_line(snapshot.tasks or ())),
        Fact("Versions", _versions(snapshot)),
    ]
    if snapshot.head.get("cwd") and not redact:
        facts.append(Fact("Folder", _path(snapshot.head["cwd"]), is_code=True))
        facts.append(Fact("Files", _path(snapshot.paths.root), is_code=True))
    return [fact for fact in facts if fact.value]


def utc_words(time_s: float, form: str = "%d %B %Y, %H:%M") -> str:
    """Returns a time in words, in UTC.

    Example:
        >>> utc_words(0)
        '1 January 1970, 00:00'
    """
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):{form}}".lstrip("0")
    except (OverflowError, ValueError, OSError):
        return ""


def _path(path: object) -> str:
    return one_line(formatting.short_path(str(path)), _VALUE_CHARS)


def _parents(snapshot: Snapshot) -> str:
    ids = snapshot.head.get("parent_session_id")
    return one_line(ids, _VALUE_CHARS) if isinstance(ids, str) else ""


def _ran(snapshot: Snapshot) -> str:
    head = snapshot.head
    begin_s = parse_iso(head.get("started_at") or head.get("created_at"))
    end_s = parse_iso(head.get("ended_at"))
    if begin_s is None:
        start = head.get("start_time")
        begin_s, end = (start if isinstance(start, int) else None), head.get("end_time")
        end_s = end if isinstance(end, int) else None
    if begin_s is None:
        return ""
    text = utc_words(begin_s, "%d %B %Y, %H:%M:%S")
    if end_s is None:
        return f"{text} UTC, not ended"
    is_same_day = utc_words(begin_s, "%d%j%Y") == utc_words(end_s, "%d%j%Y")
    end = utc_words(end_s, "%d %B %Y, %H:%M:%S")
    return f"{text} to {end.rpartition(' ')[2] if is_same_day else end} UTC"


def _code(
    snapshot: Snapshot, spec: dict[str, Any], options: dict[str, Any], *, redact: bool
) -> str:
    checkout = task_of(spec.get("tasks"), 0).get("checkout") or {}
    commit = read_json(snapshot.paths.runner).get("git_commit")
    branch = checkout.get("current_branch")
    texts = [
        one_line(branch, 80) if isinstance(branch, str) and not redact else "",
        f"at {one_line(commit[:10])}" if isinstance(commit, str) and commit else "",
    ]
    text = " ".join(text for text in texts if text)
    if options.get("worktree"):
        text = f"{text}; a worktree for each task" if text else "a worktree for each task"
    return text


def _models(snapshot: Snapshot) -> str:
    names = [task.get("response_model") or task.get("model") for task in snapshot.tasks or ()]
    used = list(dict.fromkeys(one_line(name, 80) for name in names if isinstance(name, str)))
    return shorten(used, 6)


def _nodes(snapshot: Snapshot, *, redact: bool) -> str:
    """The machines of its tasks; a page to share says only how many they were."""
    nodes = nodes_of(snapshot)
    n_lost = sum(node["state"] == states.LOST for node in nodes)
    texts = [
        formatting.plural(len(nodes), "node") if nodes else "",
        "" if redact or not nodes else shorten([node["name"] for node in nodes]),
        f"{n_lost} lost" if n_lost else "",
    ]
    return "; ".join(text for text in texts if text)


def _option_facts(options: dict[str, Any], *, redact: bool) -> list[Fact]:
    facts = []
    for name, option in OPTIONS.items():
        value = options.get(name)
        if value in (None, "", [], {}, False) or name in _LEFT_OUT:
            continue
        if redact and option.kind not in _FIGURES and name not in ("model", "fallback_model"):
            continue
        title = name.replace("_", " ").removesuffix(" s").removesuffix(" usd").capitalize()
        facts.append(Fact(title, _option_value(option.kind, value), option.kind not in _FIGURES))
    return facts


def _option_value(kind: str, value: Any) -> str:
    if kind == "flag":
        return "yes"
    if kind == "seconds":
        return f"{value:g} s" if isinstance(value, int | float) else one_line(str(value))
    if kind == "usd":
        return f"USD {value}"
    if kind == "arguments":  # they may hold a secret
        return formatting.plural(len(value), "argument") if isinstance(value, list) else "yes"
    if kind in _NAMES_ONLY:
        names = value if isinstance(value, dict | list) else ()
        return shorten([one_line(str(name), 60) for name in names]) or "yes"
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)), _VALUE_CHARS)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return one_line(text, _VALUE_CHARS)


def _schema(schema: object) -> str:
    """The names and types of an answer."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return ""
    parts = [
        f"{name}: {one.get('type', 'any') if isinstance(one, dict) else 'any'}"
        for name, one in properties.items()
    ]
    return one_line(", ".join(parts), _VALUE_CHARS)


def _versions(snapshot: Snapshot) -> str:
    from importlib.metadata import version

    claude = read_json(snapshot.paths.runner).get("claude_version")
    texts = [
        f"Claude CLI {one_line(claude, 40)}" if isinstance(claude, str) and claude else "",
        f"this page: cpr_nb {version('cpr_nb')}",
    ]
    return " · ".join(text for text in texts if text)
