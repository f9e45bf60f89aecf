"""The one thread: it looks after all, hears who is added again, and ends."""

from __future__ import annotations

import threading
import time

import pytest

from cpr_nb.display.ticker import Ticker

LIMIT_S = 60.0


class Probe:
    """Something shown that counts its looks."""

    def __init__(self, *answers: float | Exception | None) -> None:
        self.answers = list(answers)
        self.n_looks = 0
        self.error: Exception | None = None
        self.done = threading.Event()
        self.looked = threading.Event()

    def tick(self) -> float | None:
        self.n_looks += 1
        answer = self.answers.pop(0)
        self.looked.set()
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            self.done.set()
        return answer

    def shows(self, root: str) -> bool:
        return root == "shown"

    def on_error(self, error: Exception) -> None:
        self.error = error
        self.done.set()


def await_end(thread_of: Ticker) -> None:
    thread = thread_of._thread
    if thread is not None:
        thread.join(LIMIT_S)
    assert not thread_of.is_running


def test_it_looks_until_nothing_more_will_come_and_then_its_thread_ends() -> None:
    ticker, one, two = Ticker(), Probe(0.0, 0.001, None), Probe(0.001, None)
    ticker.add(one)
    ticker.add(two)
    assert one.done.wait(LIMIT_S) and two.done.wait(LIMIT_S)
    await_end(ticker)
    assert (one.n_looks, two.n_looks) == (3, 2)


def test_a_flush_ticks_every_view_in_its_own_thread() -> None:
    ticker, slow = Ticker(), Probe(1000.0, None)
    ticker.add(slow)
    while not ticker._due or max(ticker._due.values()) < time.monotonic() + 500:
        assert slow.looked.wait(LIMIT_S)  # and its next tick is due in 1000 s
    threads: list[threading.Thread] = []
    tick = slow.tick

    def spied() -> float | None:
        threads.append(threading.current_thread())
        return tick()

    slow.tick = spied  # type: ignore[method-assign]
    ticker.flush()
    assert threads == [threading.current_thread()] and slow.done.is_set()
    await_end(ticker)


def test_one_that_can_not_be_shown_does_not_stop_the_others() -> None:
    ticker, bad, good = Ticker(), Probe(ValueError("no")), Probe(0.001, 0.001, None)
    ticker.add(bad)
    ticker.add(good)
    assert bad.done.wait(LIMIT_S) and good.done.wait(LIMIT_S)
    await_end(ticker)
    assert str(bad.error) == "no" and good.n_looks == 3


def test_one_that_can_not_even_tell_why_does_not_stop_the_others() -> None:
    class Mute(Probe):
        def on_error(self, error: Exception) -> None:
            super().on_error(error)
            raise RuntimeError("closed")

    ticker, bad, good = Ticker(), Mute(ValueError("no")), Probe(0.001, 0.001, None)
    ticker.add(bad)
    ticker.add(good)
    assert bad.done.wait(LIMIT_S) and good.done.wait(LIMIT_S)
    await_end(ticker)


def test_who_is_added_again_is_looked_at_at_once() -> None:
    ticker, probe = Ticker(), Probe(1e6, None)
    ticker.add(probe)
    assert probe.looked.wait(LIMIT_S)
    ticker.add(probe)
    assert probe.done.wait(LIMIT_S)
    await_end(ticker)


def test_who_is_added_during_its_own_last_look_is_looked_at_again() -> None:
    ticker = Ticker()

    class Again(Probe):
        def tick(self) -> float | None:
            if self.n_looks == 0:
                ticker.add(self)
            return super().tick()

    probe = Again(None, None)
    ticker.add(probe)
    await_end(ticker)
    assert probe.n_looks == 2


@pytest.mark.parametrize("times", range(3))
def test_a_thread_begins_again_after_its_end(times: int) -> None:
    ticker = Ticker()
    for _ in range(20):
        probe = Probe(None)
        ticker.add(probe)
        assert probe.done.wait(LIMIT_S)
    await_end(ticker)


def test_a_flush_at_any_time_harms_no_thread() -> None:
    ticker, probe = Ticker(), Probe(*[0.0] * 2000, None, None, None)
    ticker.add(probe)
    while ticker.is_running:
        ticker.flush()
    assert probe.done.is_set() and probe.error is None


def test_a_view_shows_its_session_as_long_as_it_is_kept_up_to_date() -> None:
    ticker, probe = Ticker(), Probe(1000.0, None)
    assert not ticker.shows("shown")
    ticker.add(probe)
    assert (ticker.shows("shown"), ticker.shows("another")) == (True, False)
    assert probe.looked.wait(LIMIT_S)
    ticker.add(probe)
    await_end(ticker)
    assert not ticker.shows("shown")
