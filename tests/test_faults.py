"""Which requests are delayed and aborted."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import Fault
from llm_fallback.faults import NO_FAULT, FaultDecision, decide
from llm_fallback.local_replies import Flag, LocalReply

DELAY, ABORT = Flag.DELAY_INJECTED, Flag.FAULT_INJECTED


class Draws(random.Random):
    """Draws these numbers."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers = list(numbers)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert (start, stop, step) == (1_000_000, None, 1)
        return self.numbers.pop(0)


@pytest.mark.parametrize(
    ("fault", "draws", "expected"),
    [
        pytest.param(None, [], NO_FAULT, id="none"),
        pytest.param(Fault(), [], NO_FAULT, id="never"),
        pytest.param(Fault(100, 1.5), [999_999], FaultDecision(1.5), id="always-delayed"),
        pytest.param(Fault(0, 1.5, 100, 500), [999_999], FaultDecision(0, 500), id="always-aborted"),
        pytest.param(Fault(50, 2, 50, 503), [499_999, 500_000], FaultDecision(2), id="delayed-only"),
        pytest.param(Fault(50, 2, 50, 503), [500_000, 499_999], FaultDecision(0, 503), id="aborted-only"),
        pytest.param(Fault(50, 2, 50, 503), [0, 0], FaultDecision(2, 503), id="both"),
        pytest.param(Fault(0.0001, 1), [0], FaultDecision(1), id="one-in-a-million"),
        pytest.param(Fault(0.0001, 1), [1], NO_FAULT, id="no-more-than-that"),
        pytest.param(Fault(0.00019, 1), [1], NO_FAULT, id="the-rest-is-cut-off"),
        pytest.param(Fault(0.00009, 1), [0], NO_FAULT, id="less-is-never"),
    ],
)
def test_decide(fault: Fault | None, draws: list[int], expected: FaultDecision) -> None:
    rng = Draws(*draws)

    assert decide(fault, rng) == expected
    assert not rng.numbers


@pytest.mark.parametrize(
    ("decision", "flags", "reply"),
    [
        pytest.param(NO_FAULT, (), None, id="none"),
        pytest.param(FaultDecision(1), (DELAY,), None, id="delay"),
        pytest.param(
            FaultDecision(0, 418), (ABORT,), LocalReply(418, "fault filter abort", (ABORT,)), id="abort"
        ),
        pytest.param(
            FaultDecision(1, 503),
            (DELAY, ABORT),
            LocalReply(503, "fault filter abort", (DELAY, ABORT)),
            id="both",
        ),
    ],
)
def test_reply(decision: FaultDecision, flags: tuple[Flag, ...], reply: LocalReply | None) -> None:
    """Envoy's text and response flags."""
    assert decision.flags == flags
    assert decision.reply() == reply


@given(st.floats(0, 100), st.integers(0, 2**32))
def test_a_hundred_percent_always_hits_and_none_never(percent: float, seed: int) -> None:
    decision = decide(Fault(percent, 1.0, 100 - percent, 500), random.Random(seed))

    assert decision.delay_s == 1.0 or percent < 100
    assert decision.abort_status == 500 or percent > 0
    assert decision.delay_s == 0 or percent > 0
    assert decision.abort_status is None or percent < 100
