"""When a shared process is replaced, because of what its task did, or because of its age."""

from __future__ import annotations

from cpr_nb.runner.shared.process_groups import unusual_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.runner.shared.served_attempt import ServedAttempt
    from cpr_nb.runner.shared.shared_process import SharedProcess

#: After so many tasks a process is replaced: it grows, and a start costs little beside them.
TASKS_PER_PROCESS = 64
#: And with so much memory.
MOST_RSS_BYTES = 600_000_000
#: And with so long a stream, whose parts are on the disk twice until the process has ended.
MOST_STREAM_BYTES = 64_000_000


def why_not(process: SharedProcess, attempt: ServedAttempt, now: float) -> str:
    """Why a process serves no further task, now that its present one has a result.

    Args:
        process: The process.
        attempt: The task's attempt.
        now: The time on the loop's clock.

    Returns:
        The reason; empty if it serves another one.
    """
    attempt.stream.poll(now)
    facts = attempt.stream.facts
    if name := unusual_tool(process.stream.tools_used):
        return f"its task used {name}"
    if attempt.stream.background.now:
        return "work in the background"
    if attempt.terminated and facts.answered:
        return "its task was ended"
    if (facts.result or {}).get("api_error_status") in (401, 403):
        return "the login was refused"
    if process.machine.n_tasks >= TASKS_PER_PROCESS:
        return f"it has served {TASKS_PER_PROCESS} tasks"
    if process.process.rss_bytes() > MOST_RSS_BYTES:
        return f"it has more than {MOST_RSS_BYTES // 1_000_000} MB"
    if process.stream.end > MOST_STREAM_BYTES:
        return f"its stream has more than {MOST_STREAM_BYTES // 1_000_000} MB"
    if process.has_other_agents():
        return "the files of subagents have changed"
    return "" if process.group.n_left > 0 else "no task is left for it"
