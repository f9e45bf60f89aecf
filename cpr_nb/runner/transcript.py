"""The CLI's own transcript of a conversation: what a run that was killed has used.

``$CLAUDE_CONFIG_DIR/projects/<folder>/<conversation>.jsonl``. It has the final token counts
of every answer even after SIGKILL, where the stream has only those of the answer's beginning
(measured on 2.1.330). It knows no cost.
"""

from __future__ import annotations

from cpr_nb.model.events import parse_line, usage_tokens


def tokens_since(path: bytes, since: str) -> dict[str, int]:
    """The tokens used by the answers of a conversation since a moment.

    Args:
        path: The transcript.
        since: The moment, ISO 8601 in UTC.

    Returns:
        The counts by our names; empty if nothing is known.
    """
    by_message: dict[str, dict[str, int]] = {}
    try:
        with open(path, "rb") as file:
            for line in file:
                event = parse_line(line) if b'"usage"' in line else None
                message = event.get("message") if event else None
                at = event.get("timestamp") if event else None
                if isinstance(message, dict) and isinstance(at, str) and at >= since:
                    # One answer has several lines; the last one has the final counts.
                    by_message[str(message.get("id"))] = usage_tokens(message.get("usage"))
    except OSError:
        return {}
    total: dict[str, int] = {}
    for counts in by_message.values():
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total
