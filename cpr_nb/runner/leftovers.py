"""What ended tasks have left behind: one sweep through the processes ends it for several tasks."""

from __future__ import annotations

from cpr_nb.runner import process

#: How often it is swept up: one sweep serves all that ended since.
SWEEP_EVERY_S = 1.0


class Leftovers:
    """The processes that ended tasks may have left behind, by what marks them."""

    def __init__(self) -> None:
        self._tokens: list[str] = []
        self._conversations: list[tuple[str, str, int]] = []
        self._next_sweep_at = 0.0

    def add(self, token: str) -> None:
        """Has what an attempt left behind ended at the next sweep."""
        self._tokens.append(token)

    def add_conversation(self, token: str, conversation_id: str, leader_pid: int) -> None:
        """The same for a task whose process serves on: neither that ends, nor its MCP servers.

        Args:
            token: What marks the tree of the process.
            conversation_id: The task's conversation, which its commands and hooks have in their
                environment.
            leader_pid: The process. What is in its session of processes is not the task's.
        """
        self._conversations.append((token, conversation_id, leader_pid))

    def sweep_in_time(self, now: float) -> None:
        """Ends it, if there is any, and the last sweep was long enough ago."""
        if (self._tokens or self._conversations) and now >= self._next_sweep_at:
            self._next_sweep_at = now + SWEEP_EVERY_S
            self.sweep()

    def sweep(self) -> None:
        """Ends it now."""
        process.sweep(self._tokens, self._conversations)
        self._tokens.clear()
        self._conversations.clear()
