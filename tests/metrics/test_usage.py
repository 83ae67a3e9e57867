"""Tokens, waiting, and what failover costs."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_fallback.config.in_force import Configuration
from llm_fallback.events import Answer, Attempted, Event, Figures, Received
from llm_fallback.metrics import prometheus, stats
from llm_fallback.metrics.names import MAX_NAMES, OTHER
from tests.metrics.events import B, counted, handled, lost, tried


def spent(*events: Event) -> dict[str, float]:
    """What is not 0 of tokens and losses, by their names."""
    prefixes = ("llm_fallback.tokens_total.", "llm_fallback.lost_")
    found = stats(counted(*events), ())
    return {
        stat.name.removeprefix("llm_fallback."): stat.value
        for stat in found
        if stat.name.startswith(prefixes)
    }


def said(model: str | None = "m", read: int | None = 3, written: int | None = 5) -> Answer:
    return Answer(figures=Figures(model, read, written, "stop"))


CANCELLED = Attempted(str(B), "10.0.0.2:443", "cancelled", 0.5, model="b-model")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(
            handled(tried(), answer=said()),
            {"tokens_total.a.com.r.m.input": 3, "tokens_total.a.com.r.m.output": 5},
            id="an answer",
        ),
        pytest.param(
            handled(tried(), answer=said(written=None)), {"tokens_total.a.com.r.m.input": 3}, id="embeddings"
        ),
        pytest.param(
            handled(CANCELLED, target=str(B), answer=said(model=None, written=None)),
            {"tokens_total.b.com.r.b-model.input": 3},
            id="the model that was asked for stands in for one that is not said",
        ),
        pytest.param(
            handled(tried(), answer=said(model=None, written=None)),
            {"tokens_total.a.com.r.unknown.input": 3},
            id="nobody names a model",
        ),
        pytest.param(handled(tried()), {}, id="nothing said"),
        pytest.param(
            handled(
                lost(tried(status=503), 0.25),
                lost(tried(status=None, failure="reset"), 2.0),
                lost(CANCELLED, 0.5),
                tried(B),
                target=str(B),
            ),
            {
                "lost_attempts_total.a.com.503": 1,
                "lost_seconds_total.a.com.503": 0.25,
                "lost_attempts_total.a.com.reset": 1,
                "lost_seconds_total.a.com.reset": 2.0,
                "lost_attempts_total.b.com.cancelled": 1,
                "lost_seconds_total.b.com.cancelled": 0.5,
            },
            id="attempts thrown away",
        ),
        pytest.param(
            handled(lost(tried(), 9.0, Figures("m", 100, 7)), tried(B), target=str(B)),
            {
                "lost_attempts_total.a.com.200": 1,
                "lost_seconds_total.a.com.200": 9.0,
                "lost_tokens_total.a.com.input": 100,
                "lost_tokens_total.a.com.output": 7,
            },
            id="tokens thrown away",
        ),
        pytest.param(
            handled(tried(status=503), status=503), {}, id="a failure that the client gets is not lost"
        ),
    ],
)
def test_what_is_counted(event: Event, expected: dict[str, float]) -> None:
    """As exactly this; what the client got is not counted as lost."""
    assert spent(event) == expected


def test_the_clients_model() -> None:
    """Where neither the answer nor the target says which model it is."""
    received = Received(0.0, "http", "/", 0, model="asked")
    event = handled(tried(), answer=said(model=None, written=None))

    assert spent(replace(event, received=received)) == {"tokens_total.a.com.r.asked.input": 3}


def test_names_are_bounded() -> None:
    """A provider that makes up models, and routes that come and go, share one label at the end."""
    events = [
        handled(tried(), route=f"r{number}", answer=said(f"m{number}", written=None))
        for number in range(MAX_NAMES + 50)
    ]
    found = spent(*events)

    assert len(found) == MAX_NAMES + 1
    assert found[f"tokens_total.a.com.{OTHER}.{OTHER}.input"] == 150


def test_a_terminals_commands_are_not_passed_on() -> None:
    """A provider may call its model what it likes; no half of a character is left, either."""
    found = spent(handled(tried(), answer=said("\x1b]0;m\x07\x9b2J\ud83d模" + "\x1b" * 300, written=None)))

    (name,) = found
    assert name.isprintable()
    assert name.startswith(r"tokens_total.a.com.r.\x1b]0;m\x07\x9b2J?模\x1b")
    assert len(name) < 250


def test_a_reload_makes_room() -> None:
    """The names of hosts that are gone do not count any more."""
    metrics = counted(*(handled(tried(), answer=said(f"m{number}")) for number in range(MAX_NAMES)))
    metrics.take(handled(lost(tried(), 1.0, Figures("x", 1, 1)), tried(), answer=Answer(1, 0.1)))

    metrics.adopt([B])
    metrics.take(handled(tried(B), target=str(B), answer=said("new", written=None)))

    assert list(metrics.usage.tokens) == [("b.com", "r", "new", "input")]
    usage = metrics.usage
    assert [usage.lost_attempts, usage.lost_seconds, usage.lost_tokens, usage.first_bytes] == [{}, {}, {}, {}]


def samples(metrics: object, configuration: Configuration | None = None) -> dict[str, float]:
    """The exposition, by names and labels."""
    text = prometheus(list(stats(metrics, (), configuration))).decode()  # type: ignore[arg-type]
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus() -> None:
    """Names and labels; the first byte is a histogram, and a host is its only label."""
    event = handled(
        lost(tried(status=503), 0.25),
        tried(B),
        target=str(B),
        answer=Answer(9, first_byte_s=0.3, figures=Figures('q"\n', 1, 2)),
    )
    found = samples(counted(event))

    assert found['llm_fallback_tokens_total b.com q"\\n r output'] == 2
    assert found["llm_fallback_lost_attempts_total a.com 503"] == 1
    assert found["llm_fallback_first_byte_milliseconds_bucket b.com 250"] == 0
    assert found["llm_fallback_first_byte_milliseconds_bucket b.com 500"] == 1
    assert found["llm_fallback_first_byte_milliseconds_sum b.com"] == 300
    assert not any("configuration" in name for name in found)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (Configuration(), {"current": 0}),
        (Configuration(loaded_at=12.5, is_current=True), {"current": 1, "loaded_timestamp_seconds": 12.5}),
        (Configuration(loaded_at=12.5, is_current=False), {"current": 0, "loaded_timestamp_seconds": 12.5}),
    ],
)
def test_staleness(configuration: Configuration, expected: dict[str, float]) -> None:
    """Whether the last edit is in force, and since when what is."""
    found = samples(counted(), configuration)
    prefix = "llm_fallback_configuration_"

    assert {name.removeprefix(prefix): v for name, v in found.items() if name.startswith(prefix)} == expected


def test_targets_not_in_the_configuration() -> None:
    """Count for a host without a name."""
    event = handled(lost(tried(), 1.0), tried(), answer=said(written=None))

    metrics = counted(targets=(B,))
    metrics.take(event)

    assert list(metrics.usage.tokens) == [("unknown", "r", "m", "input")]
    assert list(metrics.usage.lost_attempts) == [("unknown", "200")]
