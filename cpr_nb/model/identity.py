"""The identity of a launch and of each task, as a hash: the same is asked for by the same identity.

Options count as they take effect for a task: it does not matter whether the session or the task has
one, whether a default is spelled out, or in which order rules are given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

from cpr_nb.model.digest import sha256_for
from cpr_nb.model.light import in_effect
from cpr_nb.model.random_ids import is_uuid
from cpr_nb.model.tools import offered_tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.spec import TaskSpec

#: Options that change no answer: a name, how much runs at once, where and in which order, how nice
#: it is, how long the session and its questions may wait, and what it may cost in all.
IRRELEVANT = (
    "name",
    "max_parallel",
    "nice",
    "executor",
    "nodes",
    "slots",
    "lease_s",
    "login_wait_s",
    "ask_s",
    "machine_wait_s",
    "warm_start",
    "budget_usd",
    "not_before",
    "reserve",
    "on_done",
    "on_failed",
    "on_waiting",
)
#: What an option means that is not given. Off and empty are the default of the others.
DEFAULTS: Mapping[str, Any] = {
    "permissions": "edits",
    "base": "HEAD",
    "attempts": 2,
    "first_byte_s": 600.0,
    "linger_s": 900.0,
    "check_timeout_s": 600.0,
    "setup_timeout_s": 600.0,
}
#: Variables of the launching process that choose the model, or how hard it thinks.
MODEL_VARIABLES = (
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_DISABLE_THINKING",
    "CLAUDE_CODE_EFFORT_LEVEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "MAX_THINKING_TOKENS",
)
#: It chooses the model unless the option does (measured: the CLI's flag goes before it).
_MODEL_VARIABLE = "ANTHROPIC_MODEL"
_IN_ANY_ORDER = ("allow", "deny", "add_dirs")
_MEANT_EMPTY = ("tools", "mcp_servers")  # no tools, no servers: that is not the default


def of_tasks(
    tasks: Sequence[TaskSpec],
    options: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    salt: bytes = b"",
) -> str:
    """The identity of a launch or a map: its prompts and options.

    Args:
        tasks: The tasks; random ids don't count.
        options: The session's options, checked.
        environ: The environment that tasks inherit: some variables choose the model.
        salt: Makes the values of variables unreadable: they are never stored.

    Example:
        >>> from cpr_nb.model.spec import check_tasks
        >>> one = of_tasks(check_tasks(["fix it"]), {"model": "opus"})
        >>> two = of_tasks(check_tasks([{"prompt": "fix it", "model": "opus"}]), {"attempts": 2})
        >>> one == two
        True
    """
    in_effect = list(_in_effect(tasks, options, environ or {}, salt))
    shared = _shared(in_effect)
    rows = []
    for task, own in zip(tasks, in_effect, strict=True):
        origin = [task.origin.get(name) for name in ("row", "factors")]
        differing = {name: value for name, value in own.items() if name not in shared}
        rows.append([_own_id(task), task.prompt, {"env": [], **differing}, origin])
    return _hash("tasks", shared, rows)


def of_each_task(
    tasks: Sequence[TaskSpec],
    options: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    salt: bytes = b"",
) -> list[str]:
    """The identity of each task: its prompt and options, and its id if it is the user's own.

    Args:
        tasks: The tasks. One that goes on with a conversation has none: it is empty.
        options: As for `of_tasks`, and so are the others.
        environ: Likewise.
        salt: Likewise.

    Example:
        >>> from cpr_nb.model.spec import check_tasks
        >>> one, two = of_each_task(check_tasks(["fix it", "fix it"]), {})
        >>> one == two
        True
    """
    digests: dict[int, str] = {}  # tasks that are alike share one object
    identities = []
    for task, own in zip(tasks, _in_effect(tasks, options, environ or {}, salt), strict=True):
        if id(own) not in digests:
            digests[id(own)] = _hash("options", own)
        text = "\0".join(("task", digests[id(own)], _own_id(task) or "", task.prompt))
        identities.append("" if "follows" in task.origin else _digest(text))
    return identities


def of_request(options: Mapping[str, Any], salt: bytes = b"") -> str:
    """The identity of a retry or a follow-up, without its tasks.

    Args:
        options: The options that override the old ones, checked.
        salt: As for `of_tasks`.

    Example:
        >>> of_request({"model": "opus", "name": "a"}) == of_request({"model": "opus"})
        True
    """
    shown = _in_one_order(options)
    return _hash("request", {**shown, "env": _hidden(options.get("env") or {}, salt)})


def of_study(launch: str, keywords: Mapping[str, Any]) -> str:
    """The identity of a launch that also has rules which decide what of it runs.

    Args:
        launch: Its identity without them.
        keywords: The keywords that ask for them.

    Example:
        >>> of_study("1f", {"pilot": 30}) == of_study("1f", {"pilot": 40})
        False
    """
    return _hash("study", launch, dict(keywords))


def of_words(words: str) -> str:
    """The identity of a follow-up's prompt.

    Example:
        >>> of_words("go on") == of_words("Go on")
        False
    """
    return _hash(words)


def _own_id(task: TaskSpec) -> str | None:
    # A random UUID says so itself: its version is 4.
    is_random = is_uuid(task.task_id) and task.task_id[14] == "4" and task.task_id[19] in "89ab"
    return None if is_random else task.task_id


def _in_effect(
    tasks: Iterable[TaskSpec],
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    salt: bytes,
) -> Iterable[dict[str, Any]]:
    """The options of each task as they take effect; computed once for tasks that are alike."""
    known: dict[str, dict[str, Any]] = {}
    for task in tasks:
        alike = json.dumps(task.options, default=str) if task.options else ""
        if alike not in known:
            merged = {**options, **task.options}
            merged["env"] = {**options.get("env", {}), **task.options.get("env", {})}
            known[alike] = _effective(in_effect(merged), environ, salt)
        yield known[alike]


def _effective(
    options: Mapping[str, Any], environ: Mapping[str, str], salt: bytes
) -> dict[str, Any]:
    """A task's options as they take effect: without defaults, and in one order."""
    chosen = {name: environ[name] for name in MODEL_VARIABLES if name in environ}
    variables = {**chosen, **options["env"]}
    model = {**environ, **variables}.get(_MODEL_VARIABLE)
    variables.pop(_MODEL_VARIABLE, None)
    shown = {**({"model": model} if model else {}), **_in_one_order(options)}
    default_tools = set(offered_tools({k: v for k, v in options.items() if k != "tools"}))
    shown["tools"] = sorted(set(offered_tools(options)))
    if set(shown["tools"]) == default_tools:
        del shown["tools"]
    for folder in {"cwd"} & shown.keys():
        shown[folder] = os.path.realpath(shown[folder])
    kept = {name: value for name, value in shown.items() if not _is_default(name, value)}
    return {**kept, "env": _hidden(variables, salt)}


def _in_one_order(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that count, with the elements of lists sorted where the order means nothing."""
    shown = {name: value for name, value in options.items() if name not in IRRELEVANT}
    for name in _IN_ANY_ORDER:
        if shown.get(name):
            shown[name] = sorted(set(shown[name]))
    return shown


def _is_default(name: str, value: Any) -> bool:
    if name in DEFAULTS:
        return bool(value == DEFAULTS[name])
    return value is False or (value in ([], {}) and name not in _MEANT_EMPTY)


def _hidden(variables: Mapping[str, str], salt: bytes) -> list[list[str]]:
    """Variables with hashes in the place of their values."""
    if not variables:
        return []
    import hashlib  # with OpenSSL, which takes milliseconds

    return [
        [
            name,
            hashlib.blake2b(
                variables[name].encode("utf-8", "surrogatepass"), key=salt, digest_size=16
            ).hexdigest(),
        ]
        for name in sorted(variables)
    ]


def _shared(in_effect: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The options that all tasks have in common."""
    distinct = list({id(options): options for options in in_effect}.values())
    first = distinct[0] if distinct else {}
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in distinct)
    }


def _hash(*parts: object) -> str:
    return _digest(json.dumps(parts, sort_keys=True, default=str))


def _digest(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    digest: str = sha256_for(len(data))(data).hexdigest()
    return digest[:32]
