"""What a map with ``reuse`` pays for, by the scripted API's own log, with the real CLI."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from testkit.command import Cpr

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
LIMIT_S = 120.0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "api.jsonl"


@pytest.fixture
def api(log: Path) -> Iterator[ScriptedApi]:
    with ScriptedApi(log_path=log) as server:
        yield server


def rows(numbers: range) -> pd.DataFrame:
    say = [f'Row {n}. SCRIPT=[{{"text": "answer {n}"}}]' for n in numbers]
    return pd.DataFrame({"say": say, "n": list(numbers)})


def n_paid(log: Path) -> list[int]:
    """How often each row was paid for."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [line["last_user_blocks"][-1] for line in lines if line.get("status") == 200]
    counts = Counter(text.partition(".")[0] for text in asked if text.startswith("Row "))
    return [counts[f"Row {n}"] for n in range(len(counts))]


def test_new_rows_pay_for_new_rows(
    offline_env: dict[str, str], in_env: Callable[[dict[str, str]], None], log: Path, real_cpr: Cpr
) -> None:
    in_env(offline_env)
    options = {"permissions": "read", "attempts": 1}
    cpr.map("{say}", rows(range(3)), **options).wait(LIMIT_S)
    assert n_paid(log) == [1] * 3
    bigger = cpr.map("{say}", rows(range(5)), reuse=True, **options).wait(LIMIT_S)
    assert n_paid(log) == [1] * 5
    out = bigger.results_df()
    assert out["result"].tolist() == [f"answer {n}" for n in range(5)]
    own, all_rows = bigger.cost_usd, out["cost_usd"].sum()
    assert own == pytest.approx(out["cost_usd"][3:].sum()) and own < all_rows
    again = cpr.map(
        "{say}", rows(range(5)), reuse=True, tools="Grep,Read,Glob,ToolSearch", **options
    )
    assert again.id == bigger.id and n_paid(log) == [1] * 5
    shown = real_cpr.good("status", bigger.id)
    assert "Tasks: 2/2" in shown and "3 reused" in shown
