"""The rows whose holes are still open: each is removed from here when its hole is closed."""

from __future__ import annotations

NOT_YET = frozenset(
    (
        "`results` is a link that leads elsewhere: cpr run",
        "`results` is a link that leads elsewhere: cpr.launch",
        "a foreign session in the place of one's own: %cpr status NAME",
        "a foreign session in the place of one's own: Session.retry, reuse",
        "a foreign session in the place of one's own: cpr results NAME",
        "a foreign session in the place of one's own: cpr resume, the newest",
        "a foreign session in the place of one's own: cpr resume, the newest live one",
        "a foreign session in the place of one's own: cpr run --reuse",
        "a foreign session in the place of one's own: cpr status NAME",
        "a foreign session in the place of one's own: cpr.attach(NAME)",
        "a foreign session in the place of one's own: cpr.launch, reuse",
        "a sent results directory: Session.cancel, live",
        "a sent results directory: Session.max_parallel, live",
        "a sent results directory: Session.pause, live",
        "a sent results directory: button pause, live",
        "a sent results directory: cpr cancel, live",
        "a sent results directory: cpr clean at a terminal, Enter",
        "a sent results directory: cpr pause, live",
        "a sent results directory: cpr resume at a terminal, Enter",
        "a sent results directory: cpr retry at a terminal, Enter",
        "a sent results directory: cpr set, live",
    )
)
