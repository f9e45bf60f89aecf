"""How busy the cores are that we may use: of the machine, of some cores, of a container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpr_nb.runner import load_gauge
from cpr_nb.runner.load_gauge import LoadGauge
from cpr_nb.store import resources
from cpr_nb.store.resources import TASK_MEMORY_BYTES, free_memory_bytes, usable_cores

FREE = f"MemTotal: 9 kB MemAvailable: {8 * TASK_MEMORY_BYTES // 1024 + 1} kB"


class Machine:
    """Four cores whose files of the kernel are ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files = {"/proc/meminfo": FREE}
        self.cpus = {0, 1, 2, 3}
        for module in (load_gauge, resources):
            monkeypatch.setattr(module, "read_words", self.read_words)
            monkeypatch.setattr(module, "usable_cpus", lambda: self.cpus)
        monkeypatch.setattr(os, "cpu_count", lambda: 4)

    def read_words(self, path: str) -> list[bytes]:
        return self.files.get(path, "").encode().split()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def poll(gauge: LoadGauge, now: float) -> Iterator[tuple[float, int]]:
    for event in gauge.poll(now):
        yield round(event.busy_share, 3), event.n_more


def test_the_whole_machine(machine: Machine) -> None:
    gauge = LoadGauge(lambda: True)
    machine.files["/proc/uptime"] = "1000.00 3000.00"
    assert [*poll(gauge, 50.0)] == [], "nothing to compare with yet"
    machine.files["/proc/uptime"] = "1000.50 3000.50"
    assert [*poll(gauge, 50.5)] == [], "it is not due"
    machine.files["/proc/uptime"] = "1002.00 3006.00"
    assert [*poll(gauge, 52.0)] == [(0.25, 4)], "6 of 8 s of four cores were idle"
    machine.files["/proc/uptime"] = "1003.00 3006.00"
    assert [*poll(gauge, 53.0)] == [(1.0, 0)], "memory does not matter then"


def test_some_cores_only(machine: Machine) -> None:
    machine.cpus = {1, 3}
    ticks = os.sysconf("SC_CLK_TCK")
    stat = "cpu 0 0 0 {} 0 cpu0 0 0 0 {} 0 cpu1 0 0 0 {} 0 cpu2 0 0 0 0 0 cpu3 0 0 0 {} 0 intr 9"
    machine.files["/proc/stat"] = stat.format(0, 0, 0, 0)
    gauge = LoadGauge(lambda: True)
    assert [*poll(gauge, 1.0)] == []
    machine.files["/proc/stat"] = stat.format(9 * ticks, 2 * ticks, 2 * ticks, 1 * ticks)
    assert [*poll(gauge, 3.0)] == [(0.25, 4)]


def test_a_container_with_a_share_of_the_cores(machine: Machine) -> None:
    machine.files["/sys/fs/cgroup/cpu.max"] = "150000 100000"
    machine.files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 5000000 user_usec 1"
    assert usable_cores() == 1.5
    gauge = LoadGauge(lambda: True)
    assert [*poll(gauge, 1.0)] == []
    machine.files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 6200000 user_usec 1"
    assert [*poll(gauge, 2.0)] == [(0.8, 0)]
    machine.files["/sys/fs/cgroup/cpu.max"] = "max 100000"
    assert usable_cores() == 4


def test_without_proc_the_average_load_is_what_there_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    gauge = LoadGauge(lambda: True)
    assert [*poll(gauge, 10.0)] == []
    assert [*poll(gauge, 12.0)] == [(0.75, 0)]
    assert [*poll(gauge, 14.0)] == [(0.75, 0)]


def test_nothing_is_measured_while_nobody_wants_to_know(machine: Machine) -> None:
    wanted = True
    gauge = LoadGauge(lambda: wanted)
    machine.files["/proc/uptime"] = "1000.00 0.00"
    assert [*poll(gauge, 1.0)] == []
    wanted = False
    assert [*poll(gauge, 2.0)] == []
    wanted = True
    assert [*poll(gauge, 600.0)] == [], "not the time between"


def test_the_memory_of_a_container(machine: Machine) -> None:
    assert free_memory_bytes() >= 8 * TASK_MEMORY_BYTES
    machine.files["/sys/fs/cgroup/memory.current"] = "400"
    for limit, free in (("1000", 600), ("300", 0)):
        machine.files["/sys/fs/cgroup/memory.max"] = limit
        assert free_memory_bytes() == free
    machine.files["/sys/fs/cgroup/memory.max"] = "max"
    assert free_memory_bytes() >= 8 * TASK_MEMORY_BYTES


def test_the_real_files_are_read() -> None:
    assert 0 < usable_cores() <= (os.cpu_count() or 1)
    assert free_memory_bytes() > 0
    if Path("/proc/uptime").exists():
        gauge = LoadGauge(lambda: True)
        assert [*poll(gauge, 0.0)] == []
        assert all(0 <= share <= 1 for share, _ in poll(gauge, 1.0))
