"""The keywords of a launch that decide which of its tasks run, and what their answers are worth.

Each of them belongs to a module of its own, which only a launch with that keyword loads.
"""

from __future__ import annotations

from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan

    Planner = Callable[[LaunchPlan, dict[str, Any]], None]


def _plan_grade(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    from cpr_nb.launching.grading import plan_grade

    plan_grade(plan, keywords)


def _plan_stopping(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    from cpr_nb.launching.stopping import plan_stopping

    plan_stopping(plan, keywords)


def _plan_score(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    from cpr_nb.launching.scoring import plan_score

    plan_score(plan, keywords)


def _plan_best_of(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    from cpr_nb.launching.best_of import plan_best_of

    plan_best_of(plan, keywords)


def _plan_pilot(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    from cpr_nb.launching.piloting import plan_pilot

    plan_pilot(plan, keywords)


#: Keyword → what plans it, in the order in which they are planned. A planner gets the plan and all
#: these keywords, checks its own, and adds its fields to ``plan.study``.
_PLANNERS: dict[str, Planner] = {
    "score": _plan_score,
    "grade": _plan_grade,
    "best_of": _plan_best_of,
    "stop_when": _plan_stopping,  # after what gives scores
    "pilot": _plan_pilot,
}
#: Further keywords that mean something only beside one of them.
_BESIDE: dict[str, str] = {
    "grade_model": "grade",
    **dict.fromkeys(("at_once", "full_mark"), "best_of"),
    **dict.fromkeys(("alpha", "baseline", "delta", "metric", "over"), "stop_when"),
    "pilot_by": "pilot",
}
#: All of them.
KEYWORDS = (*_PLANNERS, *_BESIDE)


class Study:
    """The keywords of one launch.

    Args:
        options: All keywords of the launch; those of studies are removed.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        names = [name for name in KEYWORDS if name in options]
        self.keywords = {name: options.pop(name) for name in names}

    def repeats(self, vary: Mapping[str, Any] | None, repeats: int) -> int:
        """How often each combination of factors runs.

        Args:
            vary: Factor → its levels.
            repeats: What the launch was given for that.

        Raises:
            InputError: If a keyword does not allow that.
        """
        if self.keywords.get("best_of") is None:
            return repeats
        from cpr_nb.launching.best_of import repeats_of

        return repeats_of(self.keywords["best_of"], vary, repeats)

    def plan(self, plan: LaunchPlan) -> None:
        """Adds to a plan what the keywords ask for.

        Args:
            plan: The plan of the tasks, with their rows and factors.

        Raises:
            InputError: If a keyword can't be right.
        """
        keywords = {name: value for name, value in self.keywords.items() if value is not None}
        for name, main in _BESIDE.items():
            if name in keywords and main not in keywords:
                raise InputError(f"means something only with {main}=", name)
        for name, planner in _PLANNERS.items():
            if name in keywords:
                planner(plan, keywords)
        if keywords:
            plan.study_keywords = {name: as_json(value) for name, value in keywords.items()}
