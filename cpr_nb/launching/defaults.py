"""The defaults that the notebook extension changes for its process."""

from __future__ import annotations

#: Whether a launch attaches to the session that does the same (`cpr_nb.launching.begin`),
#: because "Run All" must not pay twice.
reuse = False
