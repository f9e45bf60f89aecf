"""A task in a shared process has the same figures and the same end as in a process of its own."""

from __future__ import annotations

import pytest
from testkit.command import Cpr

from sharing.comparison import differences
from sharing.scenarios import SCENARIOS

#: A sample of them; ``python tests/sharing/compare.py`` runs all.
SAMPLE = [*SCENARIOS][::5]


@pytest.mark.slow
@pytest.mark.real_cli
def test_tasks_end_the_same_in_shared_processes(real_cpr: Cpr) -> None:
    assert differences(real_cpr, SAMPLE) == {}
