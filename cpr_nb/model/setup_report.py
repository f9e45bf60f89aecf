"""What the CLI says about its own set-up when a run begins: the mode, servers, plugins, trust.

docs/permissions.md has a table of which version says what. The texts name causes and no tasks, so
that tasks with the same cause give the same warning.
"""

from __future__ import annotations

import re

from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The status of an MCP server in `system/init` → what it means for the run.
_SERVER_TROUBLE = {
    "failed": "can't be used: its tools are missing",
    "needs-auth": "needs a login (in claude: /mcp): its tools are missing",
    "pending": "had not started when the run began: its tools may be missing",
}
# Compiled at first use: most runs write nothing on stderr.
_IGNORED_ENTRIES = r"Ignoring \d+ (\S+) entr(?:y|ies) from ([^:\n]+): [^\n]*trust"


def init_problems(init: dict[str, Any], mode: str) -> list[str]:
    """What is not as it was asked, by the first ``system/init`` of a run; one line for each cause.

    Args:
        init: The event.
        mode: The permission mode that was asked; empty if that is not known.

    Example:
        >>> init_problems({"permissionMode": "default"}, "bypassPermissions")[0][:53]
        'the permission mode is default, not bypassPermissions'
        >>> init_problems({"mcp_servers": [{"name": "db", "status": "failed"}]}, "acceptEdits")
        ["MCP server db can't be used: its tools are missing"]
    """
    problems = []
    actual = init.get("permissionMode")
    if mode and isinstance(actual, str) and actual != mode:
        problems.append(
            f"the permission mode is {actual}, not {mode}: a policy or a settings file of the CLI "
            "decides that"
        )
    for server in _objects(init.get("mcp_servers")):
        trouble = _SERVER_TROUBLE.get(str(server.get("status")))
        if trouble:
            problems.append(f"MCP server {server.get('name')} {trouble}")
    for error in _objects(init.get("plugin_errors")):
        problems.append(f"plugin {error.get('plugin')} can't be used: {error.get('message')}")
    return [one_line(problem) for problem in problems]


def stderr_problems(stderr: str) -> list[str]:
    """What the CLI wrote about its set-up on stderr before it began; one line for each cause.

    Example:
        >>> stderr_problems("Ignoring 2 permissions.allow entries from a.json: not been trusted.")
        ['a.json: the CLI ignores permissions.allow, for the folder is not trusted: run claude \
there once and accept, or name the rules with --allow']
    """
    return [
        one_line(
            f"{files}: the CLI ignores {key}, for the folder is not trusted: run claude there once "
            "and accept, or name the rules with --allow"
        )
        for key, files in re.findall(_IGNORED_ENTRIES, stderr)
    ]


def _objects(values: object) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
