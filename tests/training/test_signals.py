import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.project import ROOT
from training import signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # so that it is as before afterwards
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    signals.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts(number: signal.Signals):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_more_signals_are_the_same_request():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    for number in SIGNALS:
        signal.raise_signal(number)


def test_where_the_first_was_lost_a_later_signal_counts_anew(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(signals, "_SECONDS_OF_ONE_REQUEST", 0.01)
    time.sleep(0.02)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_deferred_signal_interrupts_nothing(number: signal.Signals):
    signals.defer()
    signal.raise_signal(number)


def test_a_signal_whose_exception_was_lost_interrupts_before_it_is_too_late():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signals.defer()
    signal.raise_signal(signal.SIGTERM)


def test_a_run_that_listens_anew_can_be_interrupted_again():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signals.defer()
    signals.listen()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_when_the_run_starts_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    signals.listen()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_at_the_end_all_are_ignored():
    signals.ignore()
    assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}


def ended_after_a_destructor_that(does: str) -> subprocess.CompletedProcess[str]:
    """Run a process that listens, destroys an object whose destructor `does` something, and then goes on for 5 s."""
    script = f"""
import signal, time
from training import signals
class Short:
    def __del__(self):
        {does}
signals.listen()
Short()
time.sleep(5)
"""
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_signal_in_a_destructor_where_python_drops_exceptions_interrupts_soon_after_it():
    ended = ended_after_a_destructor_that("signal.raise_signal(signal.SIGINT)")
    assert ended.stderr.endswith("KeyboardInterrupt\n")
    assert "Exception ignored" not in ended.stderr


def test_another_exception_in_a_destructor_is_reported_as_ever():
    ended = ended_after_a_destructor_that("1 / 0")
    assert "Exception ignored" in ended.stderr
    assert "ZeroDivisionError" in ended.stderr
    assert ended.returncode == 0
