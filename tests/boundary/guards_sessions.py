"""Guards of sessions: the key, the seal, and what a runner compares."""

from __future__ import annotations

from boundary.guard import Guard, row

GUARDS = [
    Guard(
        "the seal of a session",
        "store/seal.py",
        "return match is not None and _are_equal(match.group(1), _seal(key, before))",
        "return match is not None",
        row("a sent results directory", "cpr retry"),
    ),
    Guard(
        "a session of mine is in session.json alone, not behind a link",
        "store/authorship.py",
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        "tests/store/test_seal.py::test_a_link_in_place_of_session_json_is_not_followed",
    ),
    Guard(
        "the sum of session.json on the runner's stdin",
        "runner/session_spec.py",
        "if total.hexdigest() != self._sha256_hex:",
        "if not total:",
        "tests/store/test_seal.py::test_a_runner_takes_no_other_session_json_than_the_checked_one",
    ),
    Guard(
        "the comparison of a task's line",
        "runner/session_spec.py",
        "if not self._is_launched(number, line):",
        "if not line:",
        "tests/store/test_seal.py::test_a_runner_runs_no_line_that_has_changed_since",
    ),
    Guard(
        "a key that others may read is no key",
        "store/key.py",
        "if status.st_mode & 0o077:",
        "if not status.st_mode:",
        "tests/store/test_seal.py::test_a_key_that_others_may_know_is_refused",
    ),
    Guard(
        "caches are not kept behind a link",
        "store/cache_files.py",
        "stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()",
        "status.st_uid == os.geteuid()",
        row("a sent results directory", "tables, `.cache` is a link"),
    ),
]
