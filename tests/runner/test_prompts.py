"""A prompt on its way to a process: on no disk, and whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.runner import process

pytestmark = pytest.mark.skipif(not process.LINUX, reason="reads /proc")


def test_a_prompt_is_on_no_disk_and_not_passed_on_by_itself() -> None:
    fd = process.open_prompt(b"secret")
    assert str(Path(f"/proc/self/fd/{fd}").readlink()).endswith("(deleted)")
    assert not os.get_inheritable(fd)
    os.close(fd)


@settings(max_examples=30)
@given(st.binary(max_size=2000))
def test_a_prompt_is_read_from_its_beginning(prompt: bytes) -> None:
    with os.fdopen(process.open_prompt(prompt), "rb") as file:
        assert file.read() == prompt
