"""What is said to a conversation that is resumed."""

from __future__ import annotations

from cpr_nb.runner.instructions import ASK_FOR_STRUCTURE, CONTINUE

_RESUME_PROMPTS = {
    CONTINUE: "Your work on this was interrupted. Go on from where you stopped, and finish it.",
    ASK_FOR_STRUCTURE: "Your answer lacks the structured output. Give the same answer again by "
    "calling the StructuredOutput tool.",
}


def resume_prompt(resume: str) -> str:
    """Returns what to say to a conversation that is resumed."""
    return _RESUME_PROMPTS[resume]
