"""No row of a shared process sees another's prompt, and its file has its lines and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from testkit.command import Cpr
from testkit.recording import RecordingApi

from sharing.canaries import run_rows

pytestmark = pytest.mark.real_cli


@pytest.fixture
def api() -> Iterator[RecordingApi]:
    with RecordingApi() as server:
        yield server


def test_rows_are_apart_and_their_files_are_whole(real_cpr: Cpr, api: RecordingApi) -> None:
    assert run_rows(real_cpr, api, 8, 2, tools=True) == []
