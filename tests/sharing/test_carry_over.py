"""What carries over is what docs/sharing.md says, with the CLI that is here."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.recording import RecordingApi

from sharing.bench import Bench, Measurement
from sharing.table import MEASUREMENTS, QUICK, ROWS, TABLE


def test_the_page_has_each_row_for_three_versions() -> None:
    page = TABLE.read()
    assert len(page) == 3
    assert all(list(cells) == list(ROWS) and all(cells.values()) for cells in page.values())


@pytest.mark.real_cli
@pytest.mark.parametrize(
    "measurement",
    [
        pytest.param(one, id=one.__name__, marks=[pytest.mark.slow] * (one not in QUICK))
        for one in MEASUREMENTS
    ],
)
def test_what_carries_over_is_what_the_page_says(
    measurement: Measurement, claude: str, tmp_path: Path, token: str
) -> None:
    newest = next(iter(TABLE.read().values()))
    with RecordingApi() as api:
        cells = measurement(Bench(claude, tmp_path, api, token))
    assert cells == {name: newest[name] for name in cells}
