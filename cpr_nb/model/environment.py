"""The environment variables that mark an agent's processes, and those that it must not pass on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Set for every task, unique for every attempt: what finds its processes again.
TOKEN_VARIABLE = "CPR_TASK_TOKEN"  # noqa: S105 - a name, not a secret

#: Set for all that a node agent starts: what ends it if the node agent dies.
NODE_VARIABLE = "CPR_NODE"

#: Set by the CLI for its commands and hooks, and to the first of its conversations for its MCP
#: servers (measured).
CONVERSATION_VARIABLE = "CLAUDE_CODE_SESSION_ID"

#: Set to 1 for every task unless the user sets it: the CLI then neither reads nor writes the notes
#: that it keeps for a repository. They would lead from task to task and from session to session.
NO_MEMORY_VARIABLE = "CLAUDE_CODE_DISABLE_AUTO_MEMORY"

#: What an agent's own shell and its MCP servers carry, and what they start must not: a runner that
#: was launched by an agent is not that agent's child. (Measured: the environment of the CLI's Bash
#: tool and of a server.)
AGENT_VARIABLES = (
    "CLAUDECODE",
    "AI_AGENT",
    "CLAUDE_PID",
    "CLAUDE_EFFORT",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_PROJECT_DIR",
    CONVERSATION_VARIABLE,
    "CPR_SESSION_ID",
    "CPR_TASK_ID",
    TOKEN_VARIABLE,
    NODE_VARIABLE,
)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to an agent that may have launched us.

    Example:
        >>> clean_environment({"CLAUDECODE": "1", "HOME": "/h"})
        {'HOME': '/h'}
    """
    return {name: value for name, value in environ.items() if name not in AGENT_VARIABLES}
