"""What a person reads about shared processes: at the launch, and in the status."""

from __future__ import annotations

import json
import re

import pytest
from testkit.command import Cpr, prompts, script

OWN = {"id": "own", "prompt": "/help"}


@pytest.mark.real_cli
@pytest.mark.usefixtures("api")
def test_the_launch_and_the_status_say_who_shares(real_cpr: Cpr) -> None:
    stdin = prompts(script({"text": "one"}), script({"text": "two"}), OWN)
    launched = real_cpr("run", "--share-process", "--wait", "--name", "words", "-", stdin=stdin)
    assert "   3 tasks, in shared processes, at most 3 at once, permissions" in launched.stdout
    own = "1 of 3 tasks have a process of their own, because of: prompt that begins with '/' (1)"
    assert f"share_process: {own}" in launched.stderr
    status = real_cpr.good("status", "words")
    assert re.search(r"^Shared processes: [12] served 2 of 3 tasks$", status, re.MULTILINE)
    tasks = json.loads(real_cpr.good("status", "words", "--json"))["tasks"]
    assert [task["process"] is None for task in tasks] == [False, False, True]
    assert [task["exit_code"] is None for task in tasks] == [True, True, False]
