"""Checks what is handed to the CLI as it is: system prompt, subagents, MCP servers, settings.

The CLI itself drops much of what it can't use without a word. So what can be known to be wrong is
refused before anything is spent.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Compiled when they are needed: most launches have nothing of this.
_NAME = r"[A-Za-z0-9_-]{1,64}"
#: What Claude Code replaces by the value of an environment variable, if there is no default.
_VARIABLE = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"
_CONFIDENTIAL = (
    r"(?i)(^|[_-])(api_?key|key|token|secret|password|passwd|auth|authorization|cookie|pat)$"
)
#: The SDK's fields of a subagent, without ``permissionMode``.
AGENT_FIELDS = (
    "description",
    "prompt",
    "tools",
    "disallowedTools",
    "model",
    "skills",
    "memory",
    "mcpServers",
    "initialPrompt",
    "maxTurns",
    "background",
    "effort",
)
#: The runner and Claude Code set variables of these names themselves.
_OWN_VARIABLES = ("CPR_", "CLAUDE_")


def check_system_prompt(value: Any, where: str) -> str | dict[str, str]:
    """Checks a system prompt: a text, or what is added to Claude Code's own.

    Example:
        >>> check_system_prompt("You label tickets.", "system_prompt")
        'You label tickets.'
        >>> check_system_prompt({"type": "preset", "append": "Be brief."}, "system_prompt")
        {'append': 'Be brief.'}
    """
    if not isinstance(value, Mapping):
        return _text(value, where)
    preset = {"type": "preset", "preset": "claude_code"}
    for name, word in value.items():
        if name != "append" and preset.get(name) != word:
            raise InputError(f'must be a text, or {{"append": "…"}}, not with {name!r}', where)
    return {"append": _text(value.get("append"), _inside(where, "append"))}


def check_agents(value: Any, where: str) -> dict[str, Any]:
    """Checks subagents: name → definition, in the fields of the SDK's ``AgentDefinition``.

    Example:
        >>> check_agents({"critic": {"description": "finds faults", "prompt": "Be strict."}}, "")
        {'critic': {'description': 'finds faults', 'prompt': 'Be strict.'}}
    """
    agents = {name: _as_fields(agent) for name, agent in _mapping(value, where).items()}
    for name, agent in agents.items():
        label = _inside(where, name)
        _check_name(name, where)
        fields = _mapping(agent, label)
        for field in ("description", "prompt"):
            if field not in fields:
                raise InputError(f"needs a {field!r}", label)
            _text(fields.get(field), f"{label}.{field}")
        for field in fields:
            if field == "permissionMode":
                raise InputError("is decided by the option 'permissions'", f"{label}.{field}")
            if field not in AGENT_FIELDS:
                raise InputError(f"has no field {field!r}: {', '.join(AGENT_FIELDS)}", label)
        for field in ("tools", "disallowedTools", "skills"):
            _check_texts(fields.get(field, ()), f"{label}.{field}")
        _refuse_secrets(fields, label, "write ${VARIABLE} here, and set that variable")
    return _plain(agents, where)


def check_mcp_servers(value: Any, where: str) -> dict[str, Any]:
    """Checks MCP servers: name → configuration, also as a file has them, under ``mcpServers``.

    Example:
        >>> check_mcp_servers({"mcpServers": {"db": {"command": "db-server"}}}, "mcp_servers")
        {'db': {'command': 'db-server'}}
    """
    servers = _mapping(value, where)
    if set(servers) == {"mcpServers"}:
        servers = _mapping(servers["mcpServers"], _inside(where, "mcpServers"))
    for name, server in servers.items():
        label = _inside(where, name)
        _check_name(name, where)
        fields = _mapping(server, label)
        kind = fields.get("type", "stdio")
        if kind not in ("stdio", "http", "sse"):
            raise InputError(f"its type must be stdio, http or sse, not {kind!r}", label)
        needed = "command" if kind == "stdio" else "url"
        if not isinstance(fields.get(needed), str) or not fields[needed]:
            raise InputError(f"a server of type {kind} needs a {needed!r}", label)
        _check_texts(fields.get("args", ()), f"{label}.args")
        for field in ("env", "headers"):
            _check_variables(fields.get(field, {}), f"{label}.{field}")
        _refuse_secrets(fields, label, "write ${VARIABLE} here, and set that variable")
    return _plain(servers, where)


def check_settings(value: Any, where: str) -> dict[str, Any]:
    """Checks settings of Claude Code; their meaning is its own affair.

    Example:
        >>> check_settings('{"includeCoAuthoredBy": false}', "settings")
        {'includeCoAuthoredBy': False}
    """
    settings = _mapping(value, where)
    for section in ("permissions", "sandbox", "hooks", "env"):
        if section in settings and not isinstance(settings[section], Mapping):
            raise InputError("must be an object", f"{where}.{section}")
    for rules in ("allow", "deny", "ask"):
        # Claude Code drops such rules without a word, also those that deny.
        label = _inside(where, f"permissions.{rules}")
        _check_texts(settings.get("permissions", {}).get(rules, ()), label)
    _check_sandbox(settings.get("sandbox", {}), _inside(where, "sandbox"))
    _check_variables(settings.get("env", {}), _inside(where, "env"))
    for name in settings.get("env", {}):
        if name.startswith("CPR_"):
            raise InputError("is set by cpr itself", _inside(where, f"env.{name}"))
    _refuse_secrets(settings, where, "pass it with the option 'env'")
    return _plain(settings, where)


def _check_sandbox(sandbox: Mapping[str, Any], where: str) -> None:
    """Older versions of Claude Code run without a sandbox if one of these has the wrong type."""
    filesystem = _mapping(sandbox.get("filesystem", {}), f"{where}.filesystem")
    for name in ("allowRead", "allowWrite", "denyRead", "denyWrite"):
        _check_texts(filesystem.get(name, ()), f"{where}.filesystem.{name}")


CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "system_prompt": check_system_prompt,
    "agents": check_agents,
    "mcp_servers": check_mcp_servers,
    "settings": check_settings,
}


def missing_variables(servers: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """The variables that MCP servers name as ``${NAME}`` and that are not set.

    Claude Code hands such a text on as it is, and the server gets ``${NAME}`` as its token.

    Example:
        >>> missing_variables({"db": {"command": "db", "env": {"TOKEN": "${DB_TOKEN}"}}}, {})
        ['DB_TOKEN']
    """
    if not servers:
        return []
    names = dict.fromkeys(re.findall(_VARIABLE, json.dumps(servers)))
    return [n for n in names if n not in environ and not n.startswith(_OWN_VARIABLES)]


# -- parts -------------------------------------------------------------------------------------


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    """The value, if it is a mapping; or that of a JSON text, or of a JSON file."""
    if isinstance(value, os.PathLike) or (
        isinstance(value, str) and not value.lstrip().startswith("{")
    ):
        where, value = str(value), _read(value, where)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", where) from None
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InputError(f"must be an object with names, or a JSON file, not {value!r}", where)
    return value


def _read(path: Any, where: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read the file {path}: {reason}", where) from None


def _as_fields(agent: Any) -> Any:
    """An object of the SDK's class as a mapping without what is not set."""
    # By the mark of a dataclass, for the module `dataclasses` takes as long as Python's own start.
    if isinstance(agent, type) or not hasattr(type(agent), "__dataclass_fields__"):
        return agent
    return {name: value for name, value in vars(agent).items() if value is not None}


def _check_name(name: str, where: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise InputError(f"{name!r} can't be a name: up to 64 letters, digits, '_' and '-'", where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(f"must be a non-empty text, not {value!r}", where)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"is not valid Unicode at character {error.start}", where) from None
    return value


def _check_texts(value: Any, where: str) -> None:
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not is_list or not all(isinstance(text, str) for text in value):
        raise InputError(f"must be a list of texts, not {value!r}", where)


def _check_variables(value: Any, where: str) -> None:
    texts = [*value, *value.values()] if isinstance(value, Mapping) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"must be an object of texts, not {value!r}", where)


def _refuse_secrets(value: Any, where: str, instead: str) -> None:
    """Refuses what looks like a secret: options are stored, values of variables never are."""
    for place, name, text in _variables(value):
        is_literal = isinstance(text, str) and text and not re.search(_VARIABLE, text)
        if is_literal and re.search(_CONFIDENTIAL, str(name)):
            raise InputError(
                f"{place}.{name} looks like a secret, and session.json would keep it: {instead}",
                where,
            )


def _variables(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Every variable and header in a configuration: where it stands, name, value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("env", "headers") and isinstance(inner, Mapping):
                yield from ((key, name, text) for name, text in inner.items())
            else:
                yield from _variables(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _variables(inner)


def _plain(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A copy as JSON has it, which can be stored and passed."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
        copy: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is not plain JSON: {error}", where) from None
    return copy
