"""Tests of one group run in one worker: they would disturb each other."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("group")
def test_xdist_keeps_groups_together(request: pytest.FixtureRequest) -> None:
    """It tells its scheduler of them by the ids of the tests; pytest 9.2 takes that from it."""
    if getattr(request.config.option, "loadgroup", False):  # set in workers, with loadgroup
        assert request.node.nodeid.endswith("@group")
