"""The rows whose holes are still open: each is removed from here when its hole is closed."""

from __future__ import annotations

NOT_YET = frozenset(
    (
        "`results` is a link that leads elsewhere: cpr run",
        "`results` is a link that leads elsewhere: cpr.launch",
        "a sent results directory: Session.cancel, live",
        "a sent results directory: Session.max_parallel, live",
        "a sent results directory: Session.pause, live",
        "a sent results directory: button pause, live",
        "a sent results directory: cpr cancel, live",
        "a sent results directory: cpr pause, live",
        "a sent results directory: cpr set, live",
    )
)
