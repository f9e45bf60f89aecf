"""Whatever happens between two looks: the second is as good as a first one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from testkit.comparison import Clock, compare, everything_is_kept
from testkit.examples import N_FUZZ_EXAMPLES, PROFILE
from testkit.session_folders import ENDED, RUNNING, write_session
from testkit.streams_draw import STREAMS, any_stream

from cpr_nb.store.layout import CACHE


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """What is read is kept, in files that are joined soon."""
    with everything_is_kept():
        yield


class Looks(RuleBasedStateMachine):
    """Sessions continue, end, are removed, cut, replaced; their cache is broken at any byte."""

    @initialize(storage=st.sampled_from(["python", "pyarrow"]))
    def begin(self, storage: str) -> None:
        self.option = pd.option_context("mode.string_storage", storage)
        self.option.__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.results = Path(self.folder.name, "results")
        self.results.mkdir()
        self.clock, self.n_sessions = Clock(), 0
        self.session(ended=True, streams=[[b""], [STREAMS["tools"], STREAMS["plain"]]])
        self.session(ended=False, streams=[[STREAMS["perm_default"][:3000]]])

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()
            self.option.__exit__(None, None, None)

    def sessions(self) -> list[Path]:
        return sorted(self.results.glob("session-*"))

    @rule(ended=st.booleans(), streams=st.lists(st.lists(any_stream(), max_size=2), max_size=2))
    def session(self, ended: bool, streams: list[list[bytes]]) -> None:
        self.n_sessions += 1
        named = {f"task-{number}": attempts for number, attempts in enumerate(streams)}
        state = ENDED if ended else RUNNING
        folder = write_session(self.results, named, number=self.n_sessions, state=state)
        (folder / "session.json").write_text(json.dumps({"tasks": [{"prompt": "do"}]}))
        (folder / "runner.json").write_text(json.dumps({"host": "here"}))
        (folder / "runner.lock").touch()
        for name in named if ended else ():
            (folder / f"task-{name}.txt").write_text("answer")
        self.clock.settle_session(folder)

    @rule(data=st.data(), more=any_stream(), settled=st.booleans())
    def goes_on(self, data: st.DataObject, more: bytes, settled: bool) -> None:
        path = self.a_file(data, "*.jsonl")
        if path is not None:
            with path.open("ab") as file:
                file.write(more)
            if settled:
                self.clock.settle(path)

    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        path = self.a_file(data, "status.json")
        if path is not None:
            try:
                status = json.loads(path.read_text())
            except ValueError:  # it was cut
                return
            tasks = [{**task, **ENDED, "cost_usd": 0.5} for task in status.get("tasks", [])]
            new = path.with_name("status.new")
            new.write_text(json.dumps({**status, "overall_status": "completed", "tasks": tasks}))
            new.replace(path)
            self.clock.settle_session(path.parent)

    @rule(data=st.data())
    def is_removed(self, data: st.DataObject) -> None:
        if self.sessions():
            shutil.rmtree(data.draw(st.sampled_from(self.sessions())))

    @rule(data=st.data(), settled=st.booleans())
    def is_cut(self, data: st.DataObject, settled: bool) -> None:
        path = self.a_file(data, "*.json*") or self.a_file(data, "*.txt")
        if path is not None:
            os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
            if settled or path.name == "status.json":  # a young one is waited for
                self.clock.settle(path)

    @rule(data=st.data(), settled=st.booleans(), in_place=st.booleans())
    def is_replaced(self, data: st.DataObject, settled: bool, in_place: bool) -> None:
        path = self.a_file(data, data.draw(st.sampled_from(["*.txt", "*.jsonl", "*n.json"])))
        if path is not None:
            size = path.stat().st_size  # the same: only the times and the inode tell
            new = b"{" + b"x" * (size - 1) if size else b"y"
            if in_place:
                path.write_bytes(new)
            else:
                path.with_name("new").write_bytes(new)
                path.with_name("new").replace(path)
            if settled:
                self.clock.settle(path)

    @rule(data=st.data(), what=st.sampled_from(["cut", "changed", "removed", "foreign"]))
    def cache_is_broken(self, data: st.DataObject, what: str) -> None:
        kept = sorted((self.results / CACHE).glob("*_df*")) + sorted(
            (self.results / CACHE).glob("sessions*")
        )
        if not kept:
            return
        path = data.draw(st.sampled_from(kept))
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1)) if whole else 0
        if what == "cut":
            os.truncate(path, at)
        elif what == "changed" and whole:
            whole[at] ^= data.draw(st.integers(1, 255))
            path.write_bytes(whole)
        elif what == "foreign":
            path.write_bytes(data.draw(st.binary(max_size=100)))
        else:
            path.unlink()

    def a_file(self, data: st.DataObject, pattern: str) -> Path | None:
        found = sorted(self.results.glob(f"session-*/{pattern}"))
        return data.draw(st.sampled_from(found)) if found else None

    @invariant()
    def looks_the_same(self) -> None:
        if not hasattr(self, "folder"):
            return
        self.n_looks = getattr(self, "n_looks", 0) + 1
        turn = ["tool_calls_df", "denials_df", "usage_df", "sessions_df", "tasks_df"]
        for name in ("sessions_df", "tasks_df"):
            compare(self.results, name, full=True)
        compare(self.results, "events_df")
        compare(self.results, turn[self.n_looks % len(turn)])
        if self.n_looks % 3 == 0:
            compare(self.results, "tasks_df", states=["succeeded", "running"])
            compare(self.results, "usage_df", name="nobody")


Looks.TestCase.settings = settings(
    max_examples=N_FUZZ_EXAMPLES // 10,
    stateful_step_count=6,
    suppress_health_check=[*PROFILE.suppress_health_check, HealthCheck.data_too_large],
)


TestLooks = pytest.mark.slow(Looks.TestCase)
