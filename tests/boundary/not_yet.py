"""The rows whose holes are still open: each is removed from here when its hole is closed."""

from __future__ import annotations

NOT_YET = frozenset(
    (
        "a sent results directory: %cpr cancel",
        "a sent results directory: %cpr resume",
        "a sent results directory: %cpr resume --all",
        "a sent results directory: %cpr retry",
        "a sent results directory: Session.cancel",
        "a sent results directory: Session.cancel, live",
        "a sent results directory: Session.max_parallel, live",
        "a sent results directory: Session.pause, live",
        "a sent results directory: Session.resume",
        "a sent results directory: Session.resume of skipped",
        "a sent results directory: Session.retry",
        "a sent results directory: Task.cancel",
        "a sent results directory: Task.follow_up",
        "a sent results directory: button cancel",
        "a sent results directory: button pause, live",
        "a sent results directory: button resume",
        "a sent results directory: button retry",
        "a sent results directory: cpr cancel --task",
        "a sent results directory: cpr cancel, interrupted",
        "a sent results directory: cpr cancel, live",
        "a sent results directory: cpr clean at a terminal, Enter",
        "a sent results directory: cpr pause, live",
        "a sent results directory: cpr resume",
        "a sent results directory: cpr resume --all",
        "a sent results directory: cpr resume --skipped",
        "a sent results directory: cpr resume at a terminal, Enter",
        "a sent results directory: cpr retry",
        "a sent results directory: cpr retry --all-tasks",
        "a sent results directory: cpr retry at a terminal, Enter",
        "a sent results directory: cpr set, live",
        "a sent results directory: df.cpr.follow_up",
        "a sent results directory: df.cpr.retry",
    )
)
