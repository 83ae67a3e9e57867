"""What is kept of what happened: decisions, the timeline, and figures over time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback import history
from llm_fallback.events import Acted, Answer, Attempted, Ejected, Event, Figures, Handled, Rescued, Returned
from llm_fallback.history import KEPT, MAX_TARGETS, STEP_S, STEPS, History, Kind, Totals

T0 = 1_700_000_000.0  # the beginning of a step
A, B = "a.com:80", "b.com:80"
OK = Attempted(A, "10.0.0.1:80", "200", 0.1, 200)
LOST = replace(OK, result="503", status=503, lost_after_s=0.1)
BY_B = replace(OK, target=B)
DONE = Handled("POST", "a.com", "route", A, None, (OK,), 200, (), 0.1, id="d1")
FELL_BACK = replace(DONE, target=B, instead_of=A, attempts=(BY_B,))
RESCUED = replace(FELL_BACK, attempts=(LOST, BY_B), rescue=Rescued("policy", (f"{A}: 503",)))
FAILED = replace(DONE, status=503, flags=("UH",), attempts=())
EJECTED = Ejected("a.com", 80, "10.0.0.1:80", "consecutive 5xx", 30.0, 1)
RETURNED = Returned("a.com", 80, "10.0.0.1:80", 30.0, "v1")


def taken(*events: Event, step_s: float = 0.0) -> History:
    """A history that knows both targets and has taken the events."""
    made = History()
    made.adopt([A, B])
    for number, event in enumerate(events):
        made.take(event, T0 + number * step_s)
    return made


@pytest.mark.parametrize(
    ("event", "entry"),
    [
        (EJECTED, (Kind.EJECTED, A, "ejected a.com:80 endpoint 10.0.0.1:80 for 30 s (consecutive 5xx, ")),
        (RETURNED, (Kind.RETURNED, "a.com:80/v1", "returned a.com:80 endpoint 10.0.0.1:80 after 30.0 s")),
        (FELL_BACK, (Kind.FALLBACK, A, "b.com:80 instead of a.com:80, which is ejected")),
        (RESCUED, (Kind.RESCUED, B, "b.com:80 answered instead of a.com:80 (503)")),
        (FAILED, (Kind.FAILURE, A, "a.com -> a.com:80: 503 UH")),
        (replace(DONE, flags=("UC",)), (Kind.FAILURE, A, "a.com -> a.com:80: 200 UC")),
        (
            replace(DONE, answer=Answer(figures=Figures(has_error=True))),
            (Kind.FAILURE, A, "a.com -> a.com:80: 200, then an error in the stream"),
        ),
        (replace(RESCUED, status=502), (Kind.FAILURE, B, "a.com -> b.com:80: 502")),
        (Acted("ejected a.com:80 by hand", A), (Kind.ACTION, A, "ejected a.com:80 by hand")),
        (replace(FELL_BACK, override="pinned"), (Kind.FALLBACK, A, "b.com:80 instead of a.com:80, pinned")),
        (DONE, None),
        (replace(DONE, flags=("DI",)), None),
        (replace(FAILED, status=None, flags=("DC",)), None),
        (replace(DONE, rescue=Rescued("policy")), None),
    ],
)
def test_an_event_in_the_timeline(event: Event, entry: tuple[Kind, str, str] | None) -> None:
    """What the rule has as it is, and a client that left, is in none."""
    entries = list(taken(event).timeline())
    if entry is None:
        assert entries == []
        return
    [(_, at, kind, target, text)] = entries
    assert (at, kind, target) == (T0, *entry[:2])
    assert text.startswith(entry[2])


def test_what_is_the_same_is_one_entry() -> None:
    """Even with others of its kind between, until something else happens or a minute is over."""
    other = replace(FELL_BACK, target="c.com:80")
    kept = taken(FELL_BACK, FELL_BACK, other, FELL_BACK, EJECTED, FELL_BACK, step_s=2.0)
    kept.take(FELL_BACK, T0 + 11.0)
    kept.take(FELL_BACK, T0 + 10.0 + 60.0)

    by_b = "b.com:80 instead of a.com:80, which is ejected"
    assert [(entry.id, entry.text) for entry in kept.timeline() if entry.kind is Kind.FALLBACK] == [
        (5, by_b),
        (4, f"{by_b} (2 requests in 1 s)"),
        (2, "c.com:80 instead of a.com:80, which is ejected"),
        (1, f"{by_b} (3 requests in 6 s)"),
    ]


@pytest.mark.parametrize(
    ("target", "reasons", "text"),
    [
        (B, [f"{A}: 503"], "b.com:80 answered instead of a.com:80 (503): 3 requests in 2 s"),
        (
            B,
            [f"{A}: ejected", "no budget", "c.com:80/v1: reset"],
            "b.com:80 answered instead of a.com:80 (ejected), c.com:80/v1 (reset): 3 requests in 2 s",
        ),
        (A, [f"{A}: 429"], "a.com:80 answered after a.com:80: 429 (3 requests in 2 s)"),
        (B, [f"{A}: 503", f"{B}: 429"], "b.com:80 answered instead of a.com:80 (503): 3 requests in 2 s"),
        (A, ["no budget"], "a.com:80 answered after no budget (3 requests in 2 s)"),
    ],
)
def test_a_rescue_tells_who_answered_for_whom(target: str, reasons: list[str], text: str) -> None:
    event = replace(RESCUED, target=target, rescue=Rescued("policy", tuple(reasons)))
    assert [entry.text for entry in taken(event, event, event, step_s=1.0).timeline()] == [text]


def test_a_note() -> None:
    kept = History()
    kept.note(Kind.RELOAD, "managing a.com", T0)
    assert list(kept.timeline()) == [(1, T0, Kind.RELOAD, None, "managing a.com")]


def test_what_came_after_a_version() -> None:
    """New decisions, new entries, and those that go on."""
    kept = taken(FELL_BACK, EJECTED, FELL_BACK)
    seen = kept.version
    assert not list(kept.decisions(seen)) + list(kept.timeline(seen))

    kept.take(FELL_BACK, T0 + 1)
    kept.take(DONE, T0 + 2)

    assert [(each.at, each.event) for each in kept.decisions(seen)] == [(T0 + 2, DONE), (T0 + 1, FELL_BACK)]
    assert [entry.id for entry in kept.timeline(seen)] == [3]
    assert len(list(kept.decisions())) == 4
    assert kept.version == seen + 2


@pytest.mark.parametrize(
    ("attempt", "failures"),
    [
        (OK, 0),
        (replace(OK, status=429), 0),
        (replace(OK, status=429, lost_after_s=0.1), 1),
        (replace(OK, lost_after_s=0.1), 1),
        (LOST, 1),
        (replace(OK, status=500), 1),
        (replace(OK, status=None, failure="reset"), 1),
        (replace(OK, status=None, endpoint=None), 1),
        (replace(OK, status=None), 0),
        (replace(OK, status=None, lost_after_s=0.1), 0),
    ],
)
def test_which_attempts_have_failed(attempt: Attempted, failures: int) -> None:
    """An answer that is an error, none at all, or one that was not good enough; not one that was given up."""
    kept = taken(replace(DONE, attempts=(attempt,)))
    assert kept.totals(A) == Totals(1, failures)
    assert kept.series(T0)[1][A].failures[-1] == failures


def test_figures_over_time() -> None:
    """Every step of the last ten minutes; none for a target that nobody called."""
    kept = taken(RESCUED, DONE, DONE, step_s=4.0)
    at, series = kept.series(T0 + 8)

    assert (len(at), at[-2:]) == (STEPS, [T0, T0 + STEP_S])
    assert (series[A].requests[-2:], series[A].failures[-2:]) == ([2, 1], [1, 0])
    assert (series[B].requests[-2:], series[B].p50_ms[-1]) == ([1, 0], None)
    assert series[A].requests[:-2] == [0] * (STEPS - 2)
    assert kept.totals(A) == Totals(3, 1, 1)
    assert kept.totals("c.com:80") == Totals()
    assert taken().series(T0)[1] == {}
    assert kept.series(T0 + STEPS * STEP_S)[1][A].requests[0] == 1
    assert kept.series(T0 + (STEPS + 1) * STEP_S)[1] == {}


def test_latencies() -> None:
    """As near as the buckets are: a value is at most half as much again."""
    durations = [0.010] * 50 + [0.5] * 45 + [4.0] * 5
    kept = taken(*(replace(DONE, attempts=(replace(OK, duration_s=d),)) for d in durations))
    series = kept.series(T0)[1][A]

    p50, p95 = series.p50_ms[-1], series.p95_ms[-1]
    assert p50 is not None
    assert p95 is not None
    assert 8 <= p50 <= 12
    assert 340 <= p95 <= 520
    kept.take(DONE, T0 + STEP_S)
    for _ in range(2):  # made once, when the step is over
        assert (series.p50_ms[-1], series.p95_ms[-1]) == (p50, p95)
        series = kept.series(T0)[1][A]


def test_a_target_that_is_gone() -> None:
    """Nothing is counted for it; for one that stays, all is kept."""
    kept = taken(DONE, FELL_BACK)
    kept.adopt([B])
    kept.take(DONE, T0)

    assert kept.totals(A) == Totals()
    assert kept.totals(B) == Totals(1)
    assert list(kept.series(T0)[1]) == [B]


def test_a_clock_that_is_set_back() -> None:
    """A little is put right; much begins anew."""
    kept = taken(DONE, DONE)
    kept.take(DONE, T0 - 10)
    assert kept.series(T0)[1][A].requests[-1] == 3

    kept.take(DONE, T0 - 3600)
    assert sum(kept.series(T0 - 3600)[1][A].requests) == 1
    assert kept.series(T0)[1] == {}


NAMES = st.sampled_from([A, B, "c.com:80", "d.com:80"])
HANDLED = st.builds(
    Handled,
    method=st.just("POST"),
    host=NAMES,
    route=st.just("r"),
    target=NAMES,
    instead_of=st.none() | NAMES,
    attempts=st.lists(
        st.builds(
            Attempted, NAMES, st.none() | NAMES, st.just("x"), st.floats(0, 1e6), st.none() | st.just(200)
        ),
        max_size=3,
    ).map(tuple),
    status=st.none() | st.sampled_from([200, 503]),
    flags=st.sampled_from([(), ("UH",)]),
    duration_s=st.floats(0, 1e6),
)


@given(st.lists(st.tuples(HANDLED | st.just(EJECTED), st.floats(0, 2e9)), max_size=60))
def test_whatever_happens(events: list[tuple[Event, float]]) -> None:
    """All clocks, all orders: what is counted adds up, and every entry has an id of its own."""
    kept = History()
    kept.adopt([A, B])
    for event, now in events:
        kept.take(event, now)

        at, series = kept.series(now)
        assert len(at) == STEPS
        for name, each in series.items():
            assert len(each.requests) == STEPS
            assert 0 < sum(each.requests) <= kept.totals(name).requests
            assert all(f <= r for f, r in zip(each.failures, each.requests, strict=True))
    ids = [entry.id for entry in kept.timeline()]
    assert ids == sorted(set(ids), reverse=True)
    attempts = [a for event, _ in events if isinstance(event, Handled) for a in event.attempts]
    assert kept.totals(A).requests == sum(a.target == A for a in attempts)
    assert kept.version == len(events)


@pytest.mark.parametrize("names", [1, KEPT * 2, MAX_TARGETS + 50])
def test_it_is_bounded(names: int) -> None:
    """Whatever comes, and for however many targets."""
    kept = History()
    targets = [f"t{number}:80" for number in range(names)]
    kept.adopt(targets)
    for number in range(max(3 * KEPT, 2 * names)):
        attempt = replace(OK, target=targets[number % names])
        instead_of = targets[(number + 1) % names]
        kept.take(replace(FELL_BACK, instead_of=instead_of, attempts=(attempt,)), T0)
    for step in range(2 * STEPS):
        kept.take(DONE, T0 + step * STEP_S)

    assert len(list(kept.decisions())) == KEPT
    assert len(list(kept.timeline())) == min(names, KEPT)
    assert len(kept._open) <= history._MAX_OPEN
    assert len(kept._steps) == STEPS
    assert max(len(counts) for _, counts in kept._steps) <= MAX_TARGETS
    assert len(kept._totals) == names
