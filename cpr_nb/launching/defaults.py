"""What a notebook's extension changes for its process; nothing is loaded to know it."""

from __future__ import annotations

#: Whether a launch attaches to the session that does the same (`cpr_nb.launching.reuse`),
#: because "Run All" must not pay twice.
reuse = False
