"""A pilot of the real CLI, whose runner dies: each row is paid for once, by the API's own log."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest
from testkit.command import LIMIT_S

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
ROWS = pd.DataFrame({"ticket": [f"ticket-{number}." for number in range(5)]})


@pytest.fixture(autouse=True)
def here(in_env: Callable[[dict[str, str]], None], offline_env: dict[str, str]) -> None:
    in_env(offline_env)


def paid_rows(api: ScriptedApi) -> Counter[str]:
    """How often the API was asked about each row."""
    texts = [" ".join(request.last_user_blocks) for request in api.requests]
    return Counter(ticket for text in texts for ticket in ROWS.ticket if ticket in text)


def test_each_row_is_paid_for_once(api: ScriptedApi) -> None:
    session = cpr.map("Label {ticket}", ROWS, pilot=2, max_parallel=1, light=True)
    session.wait(LIMIT_S)
    sample = paid_rows(api)
    assert sorted(sample.values()) == [1, 1]
    assert "At least USD" in str(session.forecast())
    session.run_rest()
    session.wait_until(lambda: len(paid_rows(api)) > 2, LIMIT_S, "the first of the rest")
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "its end")
    session.resume().wait(LIMIT_S)
    assert [task.outcome for task in session.refresh()] == ["succeeded"] * 5
    paid = paid_rows(api)
    assert set(paid) == set(ROWS.ticket)
    assert all(paid[ticket] == 1 for ticket in sample)
