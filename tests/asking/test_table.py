"""How the CLI asks is what docs/asking.md says, with the CLI that is here."""

from __future__ import annotations

from pathlib import Path

import pytest
from sharing.bench import Bench
from testkit.recording import RecordingApi

from asking.measurements import MEASUREMENTS, QUICK, Measurement
from asking.run import TABLE, VERSIONS


def test_the_page_has_each_row_for_three_versions() -> None:
    page = TABLE.read()
    assert list(page) == list(VERSIONS)
    assert all(all(cells.values()) for cells in page.values())


@pytest.mark.real_cli
@pytest.mark.parametrize(
    "measurement",
    [
        pytest.param(one, id=one.__name__, marks=[pytest.mark.slow] * (one not in QUICK))
        for one in MEASUREMENTS
    ],
)
def test_the_cli_asks_as_the_page_says(
    measurement: Measurement, claude: str, tmp_path: Path, token: str
) -> None:
    newest = TABLE.read()[VERSIONS[0]]
    with RecordingApi() as api:
        cells = measurement(Bench(claude, tmp_path, api, token))
    assert cells == {name: newest[name] for name in cells}
