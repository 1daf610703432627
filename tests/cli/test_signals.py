"""A signal that a program is started with as ignored stays ignored: nohup, and background jobs of a shell."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from twokey.cli import drop_in, emulator
from twokey.cli.signals import terminable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_come_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_is_ignored_from_the_start_does_not_interrupt_a_run(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with terminable():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_is_not_ignored_interrupts_a_run(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt, match=number.name), terminable():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_that_is_ignored_from_the_start_does_not_end_the_drop_in(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    signals = drop_in.Signals()
    signal.raise_signal(number)
    assert not signals.stop.is_set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_is_ignored_from_the_start_does_not_end_the_emulator(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    ended = emulator._end_event()
    signal.raise_signal(number)
    assert not ended.is_set()


@pytest.mark.parametrize("ending", [emulator._end_event, lambda: _held(drop_in.Signals()).stop])
def test_that_arrives_while_the_program_begins_to_wait_ends_it_all_the_same(
    ending: Callable[[], threading.Event],
) -> None:
    ended = ending()
    lock: Any = vars(ended)["_cond"]
    with lock:  # as ``wait`` holds it
        signal.raise_signal(signal.SIGTERM)
    assert ended.wait(20)


def _held(signals: drop_in.Signals) -> drop_in.Signals:
    signals.held = True
    return signals
