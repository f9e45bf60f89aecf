"""What the scripted API remembers about a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived; step is -1 and attempt 0 if no script was played for it.

    The CLI puts reminders of its own in front of a prompt, as blocks of the same message: the
    prompt as the task gave it is the last of `last_user_blocks`.

    `status` is the HTTP status of the answer, 0 if the connection is dropped instead; `gate` names
    the gate that refused the request: ``login``, ``usage_limit``, ``quota``, or none of them. What
    the request found in the prefix cache is `cache_read_tokens`, what it adds to it
    `cache_write_tokens`; a step's ``usage`` changes what the answer says, not these.

    Example:
        >>> RequestRecord(1, "/v1/messages", "m", 0, 1, "", 1, 99, (), ("a", "b")).last_user_text
        'ab'
    """

    seq: int
    path: str
    model: str
    step: int
    attempt: int
    conversation_id: str
    n_messages: int
    n_bytes: int
    tools: tuple[str, ...]
    last_user_blocks: tuple[str, ...]
    status: int = 200
    gate: str = ""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def last_user_text(self) -> str:
        """The full text of the last user message: its text blocks, joined."""
        return "".join(self.last_user_blocks)
