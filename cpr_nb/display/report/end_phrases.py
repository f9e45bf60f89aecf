"""Why tasks did not succeed, in words for people who don't know cpr."""

from __future__ import annotations

from cpr_nb.model import states

# Reason → what a task did, as the end of a sentence. In the past, so that it fits one and many.
_PHRASES = {
    "max_turns": "reached the limit of turns",
    "budget": "reached the budget",
    "api_error": "got an error from the API",
    "rate_limit": "met a rate limit",
    "overloaded": "met an overloaded API",
    "network": "lost the connection to the API",
    "auth": "had no valid login",
    "forbidden": "was refused access by the API",
    "prompt_too_long": "had too long a prompt",
    "refusal": "was refused by the model",
    "max_tokens": "reached the limit of tokens of an answer",
    "no_answer": "gave no answer",
    "no_structure": "gave no answer in the form that was asked for",
    "bad_structure": "gave no answer in the form that was asked for",
    "denied": "failed because a tool call was denied",
    "check_failed": "failed the check",
    "setup_failed": "failed in the set-up of the worktree",
    "setup_refused": "was not set up as asked",
    "worktree": "got no worktree",
    "timeout": "ran out of time",
    "no_first_byte": "never wrote anything",
    "silence": "went silent",
    "signal": "was ended by a signal",
    "spawn": "could not be started",
    "machine": "could not run on this machine",
    "changed": "was changed after the launch, and so did not start",
    "usage_error": "was refused by the CLI",
    "parent_failed": "depended on a task that did not succeed",
    "decided": "was not needed: the comparison was decided",
    "not_needed": "was not needed: another attempt was good enough",
    "pilot": "was outside the pilot",
    "vanished": "disappeared with the runner",
    "internal": "met an error of cpr itself",
}
_BY_OUTCOME = {
    states.CANCELLED: "was cancelled",
    states.SKIPPED: "was skipped",
    states.LOST: "was lost",
    states.TIMED_OUT: "ran out of time",
}


def phrase_of(outcome: str, reason: str) -> str:
    """Returns what a task did that did not succeed.

    Args:
        outcome: Its outcome.
        reason: Its reason.

    Example:
        >>> phrase_of("timed_out", "silence"), phrase_of("failed", "unknown")
        ('went silent', 'failed')
    """
    if outcome in (states.CANCELLED, states.SKIPPED):
        return _BY_OUTCOME[outcome]
    return _PHRASES.get(reason) or _BY_OUTCOME.get(outcome, "failed")
