"""Sessions that the library makes of frames, with the stub behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture
def stubbed(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    """The library of this process finds the stub as its CLI."""
    in_env(stub_env)
