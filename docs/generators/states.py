"""docs/states.md: the states of a task in the runner, from its table of transitions."""

from __future__ import annotations

import inspect

from cpr_nb.runner import instructions
from cpr_nb.runner.transitions import EVENTS, STATES, TRANSITIONS


def states_page() -> str:
    """The text of docs/states.md."""
    lines = [*_ABOUT, "", "| state | meaning |", "|---|---|"]
    lines += [f"| {name} | {meaning} |" for name, meaning in STATES]
    lines += ["", *_ABOUT_EVENTS, "", "| event | it comes when |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in EVENTS.items()]
    lines += ["", *_ABOUT_TRANSITIONS, "", "| state | event | next state | instruction |"]
    lines += ["|---|---|---|---|", *_transition_rows()]
    lines += ["", *_ABOUT_INSTRUCTIONS, "", "| instruction | meaning |", "|---|---|"]
    for name, kind in vars(instructions).items():
        if inspect.isclass(kind) and instructions.Instruction in kind.__bases__:
            lines.append(f"| `{name}` | {_first_sentence(kind)} |")
    return "\n".join([*lines, "", *_ABOUT_ERRORS, ""])


def _transition_rows() -> list[str]:
    rows = []
    for (state, event), following in TRANSITIONS.items():
        for next_state, wanted in following.items():
            shown = ", ".join(f"`{name}`" for name in wanted)
            rows.append(f"| {STATES[state][0]} | `{event}` | {STATES[next_state][0]} | {shown} |")
    return rows


def _first_sentence(kind: type) -> str:
    paragraph = (inspect.getdoc(kind) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


_ABOUT = [
    "# States of a task in the runner",
    "",
    "The runner's state machine (`cpr_nb/runner/schedule.py`) turns events into instructions. Every",
    "task is in one of these states. status.json has fewer words: see [the results",
    "directory](results-directory.md). (Made by `python docs/generate.py states` from the table in",
    "`cpr_nb/runner/transitions.py`; a step that is not in it can't be taken.)",
]
_ABOUT_EVENTS = [
    "A new session begins with all tasks pending. After an interruption, tasks are restored as ended,",
    "harvesting, resting, starting, or (if they were about to be terminated) terminating. See",
    "[recovery](recovery.md).",
    "",
    "## Events",
]
_ABOUT_TRANSITIONS = [
    "## Transitions",
    "",
    "An event that is not in the table leaves the state as it is. `Prepared`, `Started`, `Postponed`,",
    "`Ended`, `Checked` and `Harvested` may come only in the states in which the table has them.",
]
_ABOUT_INSTRUCTIONS = ["## Instructions"]
_ABOUT_ERRORS = [
    "## Illegal transitions",
    "",
    "An event or a step that is not in the table is a bug in cpr. In tests it raises",
    "`IllegalTransition`, which shows the task's last 20 events. In a runner it fails that one task:",
    "whatever runs for it is killed, its worktree stays as it is, its outcome is `failed` with the",
    "reason `internal`, and its events are written to runner.log. The session continues.",
]
