"""The thread that tells of events."""

import threading

import pytest

from llm_fallback.events import Handled
from llm_fallback.telemetry import background
from llm_fallback.telemetry.background import Background
from tests.support.patient import PATIENT_S
from tests.telemetry.events import SAVED, handled


class Taker:
    """Notes what it gets; waits for `gate` at each event, and fails at some."""

    def __init__(self, *, is_open: bool = True, fails_at: str = "") -> None:
        self.gate = threading.Event()
        if is_open:
            self.gate.set()
        self.fails_at = fails_at
        self.taken: list[str] = []
        self.threads: set[int] = set()
        self.is_closed = False

    def take(self, event: Handled) -> None:
        self.gate.wait()
        self.threads.add(threading.get_ident())
        if event.id == self.fails_at:
            raise KeyError(event.id)
        self.taken.append(event.id)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread has its time to end."""
    monkeypatch.setattr(background, "_MAX_SECONDS_TO_END", PATIENT_S)


@pytest.mark.usefixtures("_patient")
def test_events_are_passed_on_in_order() -> None:
    """In another thread, and all of them before the end."""
    taker = Taker()
    passing = Background(taker, "llm_otel")
    for number in range(100):
        passing.take(handled(id=str(number)))
    passing.close()

    assert taker.taken == [str(number) for number in range(100)]
    assert threading.get_ident() not in taker.threads
    assert taker.is_closed


@pytest.mark.usefixtures("_patient")
def test_a_defect_costs_one_event(caplog: pytest.LogCaptureFixture) -> None:
    """And is said once, without what is in the event."""
    taker = Taker(fails_at="x")
    passing = Background(taker, "llm_otel")
    for number in ("1", "x", "x", "2"):
        passing.take(handled(id=number))
    passing.close()

    assert taker.taken == ["1", "2"]
    assert taker.is_closed
    assert [r.getMessage() for r in caplog.records] == ["llm_otel: an event could not be told: KeyError"]


@pytest.mark.usefixtures("_patient")
def test_too_many_events(caplog: pytest.LogCaptureFixture) -> None:
    """Those that do not fit are lost, which is said once; nobody waits."""
    taker = Taker(is_open=False)
    passing = Background(taker, "llm_otel")
    for _ in range(5000):
        passing.take(SAVED)
    taker.gate.set()
    passing.close()

    assert 2048 <= len(taker.taken) <= 2049
    assert len(caplog.records) == 1


def test_the_end_is_bounded() -> None:
    """Whoever does not come to an end is left alone."""
    taker = Taker(is_open=False)
    passing = Background(taker, "llm_otel")
    passing.take(SAVED)
    passing.close()
    assert not taker.is_closed

    taker.gate.set()
