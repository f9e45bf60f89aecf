"""Each of these tests launches in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from testkit.webhooks import Webhook


@pytest.fixture(autouse=True)
def environment(stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]) -> None:
    in_env(stub_env)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server
