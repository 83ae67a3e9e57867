"""Whatever an event says, its readers take it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from llm_fallback.events import Answer, Attempted, Figures, Handled, Received, Rescued
from llm_fallback.local_replies import Flag
from llm_fallback.metrics import prometheus, stats
from llm_fallback.retry import Failure
from llm_fallback.telemetry import genai
from llm_fallback.telemetry.access_log import as_entry
from tests.metrics.events import counted

SECONDS = st.floats(0, 1e6)
TEXTS = st.text(max_size=20) | st.sampled_from(["\ud800", "/v1/messages", "a\nb", 'a"b\\'])
OURS = st.text(st.characters(codec="ascii"), max_size=20)
TARGETS = st.sampled_from(["a.com:80", "a.com:80/v1", "b.com:80", "nowhere", "", ":", "x:y", "c.com:"])
COUNTS = st.none() | st.integers(0, 2**53)
FIGURES = st.builds(Figures, st.none() | OURS, COUNTS, COUNTS, st.none() | OURS)
STATUSES = st.none() | st.integers(100, 999)
ATTEMPTS = st.builds(
    Attempted,
    TARGETS,
    st.none() | st.sampled_from(["10.0.0.1:443", "[::1]:80", "", "x", "x:y"]),
    TEXTS,
    SECONDS,
    STATUSES,
    st.none() | st.sampled_from([str(failure) for failure in Failure]),
    SECONDS,
    st.none() | SECONDS,
    st.none() | TEXTS,
    FIGURES,
)
RECEIVED = st.builds(
    Received,
    st.floats(0, 4e9),
    st.just("http"),
    TEXTS,
    st.integers(0, 9),
    TEXTS,
    st.none() | TEXTS,
    st.dictionaries(st.sampled_from(["user-agent", "x-request-id"]), TEXTS),
)
HANDLED = st.builds(
    Handled,
    st.sampled_from(["GET", "POST"]),
    OURS,
    OURS,
    TARGETS,
    st.none() | TARGETS,
    st.lists(ATTEMPTS, max_size=3).map(tuple),
    STATUSES,
    st.lists(st.sampled_from(list(Flag)), max_size=3).map(tuple),
    SECONDS,
    st.none() | TEXTS,
    st.none() | st.builds(Rescued, OURS, st.lists(OURS, max_size=2).map(tuple)),
    TEXTS,
    st.none() | RECEIVED,
    st.builds(Answer, st.integers(0, 9), st.none() | SECONDS, st.none() | SECONDS, FIGURES),
)


@given(HANDLED)
def test_the_access_log(event: Handled) -> None:
    """Has one line for it, with the same names for all."""
    line = json.dumps(as_entry(event)).encode()

    assert b"\n" not in line
    assert json.loads(line).keys() == as_entry(event).keys()


@given(HANDLED)
def test_spans(event: Handled) -> None:
    """Have attributes that can be sent."""
    operation = genai.operation_of(event)
    everything = [
        genai.attributes(event, operation),
        *(genai.attempt_attributes(event, number) for number in range(len(event.attempts))),
    ]
    for attributes in everything:
        for value in attributes.values():
            texts = value if isinstance(value, list) else [value]
            assert texts
            "".join(text for text in texts if isinstance(text, str)).encode()
    genai.span_name(event, operation).encode()


@given(HANDLED)
def test_metrics(event: Handled) -> None:
    """Can be read back."""
    text = prometheus(list(stats(counted(event), ()))).decode()

    assert list(text_string_to_metric_families(text))
