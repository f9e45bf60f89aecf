"""What this machine, or the container or job that we are in, has for tasks: cores and memory."""

from __future__ import annotations

import os

#: The peak memory of one task (measured for the CLI 2.1.330: 170 to 205 MiB, without its tools).
TASK_MEMORY_BYTES = 300_000_000
#: A start is busy with more than a core's work: with so many more at once than there are cores,
#: short tasks are as fast as they get.
MORE_THAN_CORES = 2
#: Tasks mostly wait for the API; with this many per core, the machine stays usable.
TASKS_PER_CORE = 8
#: More at once than this are more than the limits of most accounts bear.
MOST_TASKS = 64
_CGROUP = "/sys/fs/cgroup"


def usable_cores() -> float:
    """The cores that we may use; less than one if a container has only a share of one.

    Example:
        >>> usable_cores() > 0
        True
    """
    words = read_words(f"{_CGROUP}/cpu.max")
    quota = float("inf")
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        quota = int(words[0]) / int(words[1])
    return min(len(usable_cpus()) or os.cpu_count() or 1, quota)


def default_slots() -> int:
    """How many tasks this machine takes at once, if nobody says so.

    Example:
        >>> default_slots() >= 1
        True
    """
    cores = max(1, round(usable_cores()))
    return max(1, min(cores + MORE_THAN_CORES, free_memory_bytes() // TASK_MEMORY_BYTES))


def usable_cpus() -> set[int]:
    """The numbers of the cores that the system lets us run on; empty if it does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def free_memory_bytes() -> int:
    """The free memory of this machine, or of the container if that has less."""
    free = _available_bytes()
    try:
        limit = int(read_words(f"{_CGROUP}/memory.max")[0])
        used = int(read_words(f"{_CGROUP}/memory.current")[0])
    except (ValueError, IndexError):  # "max", or no such file
        return free
    return min(free, max(0, limit - used))


def _available_bytes() -> int:
    words = read_words("/proc/meminfo")
    if b"MemAvailable:" in words:
        return int(words[words.index(b"MemAvailable:") + 1]) * 1024
    # macOS: half of the physical memory is a fair guess.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def read_words(path: str) -> list[bytes]:
    """The words of a file of the kernel; none if it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(fd, 65536).split()
    except OSError:
        return []
    finally:
        os.close(fd)
