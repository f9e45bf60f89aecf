"""The rows whose holes are still open: each is removed from here when its hole is closed."""

from __future__ import annotations

NOT_YET: frozenset[str] = frozenset()
