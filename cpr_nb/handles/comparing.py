"""Levels of a factor against a baseline, as a method of a session's handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cpr_nb.handles.results import SessionResults, check_metric

if TYPE_CHECKING:
    from cpr_nb.display.decisions.comparison_output import Comparison
    from cpr_nb.model.decision import Decision
    from cpr_nb.stats.comparison import LevelComparison
    from cpr_nb.store.read import Snapshot

_SIBLINGS_LEFT_OUT = (
    "Candidates were left out because another one of their row was good enough, so a row's mean is "
    "one over those that came first: `s.pass_at_k()` says how often k of them solve a row."
)


class SessionComparing(SessionResults):
    """The method of a `Session` that compares."""

    def compare(
        self,
        by: str | None = None,
        baseline: Any = None,
        metric: str | None = None,
        *,
        cluster: str | None = None,
    ) -> Comparison:
        """Compares the levels of a factor with one of them, on the rows that both were run on.

        Shares and scores are compared by their differences, costs and times by two ratios: of the
        totals, and on a typical row. A failure counts: as not ok, as the worst score of a known
        range, as what it cost. Beside that stands the figure without failures, and where the two
        disagree, the verdict is "depends on failures". What the network, an account or a machine
        has ended is missing, and its row leaves the pairs. It says aloud how many there are.

        Args:
            by: The factor, one of ``vary``; default the only one.
            baseline: The level that the others are compared with; default the first one.
            metric: A column of `results_df` with numbers; default the score, else ``"ok"``.
            cluster: The column (or index level) whose rows of one value resemble each other, such
                as the repository: then they are no independent pairs, and the ranges are wider.

        Returns:
            What a notebook and `print` show: a sentence, a picture, a table, the method.
            ``.table`` is a `pandas.DataFrame`, ``.plot()`` the picture, ``.sentence`` the words,
            ``.save("comparison.html")`` writes a page. With several levels, the ranges hold
            together at 95 %, and p-values are Holm's. A session with ``stop_when`` has the range
            that was valid at every look.

        Raises:
            InputError: If there is no such factor, level or column, no row was run under both, or a
                row has several clusters.
            StatsMissing: If SciPy is not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.compare(by="model", baseline="sonnet", metric="score")  # doctest: +SKIP
        """
        from cpr_nb.display.decisions.comparison_output import Comparison, comparison_parts
        from cpr_nb.frames import level_pairs
        from cpr_nb.frames.row_metrics import session_metric, task_facts

        results = self.results_df()
        factor = level_pairs.choose_factor(by, self._factors(), list(results.columns))
        name = metric or [*self._score_names(results), "ok"][0]
        check_metric(results, name)
        measured = session_metric(self.snapshot, name, self._score_ranges)
        given = (results, task_facts(self.snapshot), factor, baseline, measured)
        decision, order = _decision_and_order(self.snapshot)
        comparison = level_pairs.compare_results(
            *given, decision, order, is_factor=factor in self._factors(), cluster=cluster
        )
        scope, notes = _scope_and_notes(decision, comparison)
        parts = comparison_parts(comparison, scope)._replace(notes=notes)
        table = level_pairs.comparison_table(comparison, parts.method)
        return Comparison(parts, f"{name} by {factor}", table)


def _decision_and_order(snapshot: Snapshot) -> tuple[Decision | None, list[int]]:
    """What may have stopped a session, and the order of its tasks that was drawn for that."""
    from cpr_nb.model.decision import read_decision
    from cpr_nb.store.spec_file import read_spec

    decision = read_decision(snapshot.head)
    return decision, (read_spec(snapshot.paths).get("order") or []) if decision else []


def _scope_and_notes(
    decision: Decision | None, comparison: LevelComparison
) -> tuple[str, list[str]]:
    """What a decision that stopped the session speaks of, and what a reader must know."""
    from cpr_nb.stats import decided_levels

    scope, notes = "", list[str]()
    if decision is not None and any(level.is_sequence for level in comparison.levels):
        scope = decided_levels.scope_words(decision)
        if str(decision.baseline) != str(comparison.baseline) and len(comparison.levels) > 1:
            notes.append(decided_levels.other_baseline_note(decision))
    elif decision is not None:
        notes.append(decided_levels.early_end_note(decision))
    if "not_needed" in comparison.left_out:
        notes.append(_SIBLINGS_LEFT_OUT)
    return scope, notes
