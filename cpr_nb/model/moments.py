"""Times that a person writes, as the moment that is meant: a time of day is the next one here."""

from __future__ import annotations

from datetime import datetime, time, timedelta


def next_moment(value: object, now: datetime | None = None) -> str | None:
    """The moment that a text means, as ISO 8601 with its offset; None if it is no time.

    Args:
        value: A time of day, or a date and a time; local time unless it has an offset.
        now: The moment now; default: this one.

    Example:
        >>> next_moment("22:00", datetime(2026, 11, 29, 21, 30))[:16]
        '2026-11-29T22:00'
        >>> next_moment("22:00", datetime(2026, 11, 29, 22, 30))[:16]
        '2026-11-30T22:00'
        >>> next_moment("2026-12-24 22:00+01:00"), next_moment("tomorrow")
        ('2026-12-24T22:00:00+01:00', None)
    """
    text = value.isoformat() if isinstance(value, time | datetime) else value
    if not isinstance(text, str) or ":" not in text:
        return None
    text = text.strip()
    try:
        if "-" in text[:5]:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.astimezone()).isoformat()
        clock = time.fromisoformat(text.zfill(5))
    except ValueError:
        return None
    if clock.tzinfo is not None:
        return None  # an offset means nothing without its day
    today = (now or datetime.now()).replace(tzinfo=None)  # noqa: DTZ005 - the clock on the wall
    moment = datetime.combine(today, clock)
    moment += timedelta(days=moment <= today)
    return moment.astimezone().isoformat(timespec="seconds")
