"""Who started a session through ``cpr mcp``: a person's Claude, or an agent of another session."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def launcher_text(head: Mapping[str, Any]) -> str:
    """Who started a session, for a person; empty if no Claude did.

    Args:
        head: The head of its status.json.

    Example:
        >>> launcher_text({"launched_by": {"session_id": "3f2a9c1e-6b7d", "task_id": "cart"}})
        'an agent of session 3f2a9c1e (task cart)'
        >>> launcher_text({"launched_by": {"conversation_id": "0d8f5f6a-2b11"}})
        'Claude, in conversation 0d8f5f6a'
        >>> launcher_text({})
        ''
    """
    launched_by = head.get("launched_by")
    if not isinstance(launched_by, dict):
        return ""
    session_id, task_id = launched_by.get("session_id"), launched_by.get("task_id")
    if session_id:
        task = f" (task {task_id})" if task_id else ""
        return f"an agent of session {str(session_id)[:8]}{task}"
    return f"Claude, in conversation {str(launched_by.get('conversation_id'))[:8]}"
