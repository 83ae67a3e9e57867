"""Outlier detection: a table for each rule. Random histories are in test_outlier_model.py."""

import pytest

from llm_fallback.outlier import Detector, Ejection, Endpoint, Outcome, OutlierPolicy, Reason, Return

A = Endpoint("10.0.0.1", 443)
B = Endpoint("10.0.0.2", 443)
C = Endpoint("10.0.0.3", 443)

OUTCOMES = {
    "2": Outcome(200),
    "3": Outcome(302),
    "4": Outcome(404),
    "9": Outcome(429),
    "5": Outcome(500),
    "G": Outcome(503),
    "c": Outcome(503, local_origin=True),
    "t": Outcome(504, local_origin=True),
    "e": Outcome(200, local_origin=True),
}
"""Answers by their first digit, 429 as 9, 503 as G; of local origin: refused, timed out, established."""


def alone(**settings_of_policy: object) -> Detector:
    """A detector whose lone endpoint can be ejected."""
    policy = {"max_ejection_percent": 100, "interval_s": 1.0, "base_ejection_s": 10.0} | settings_of_policy
    return Detector(OutlierPolicy(**policy), created_at=0.0)  # type: ignore[arg-type]


def play(detector: Detector, history: str, *, now: float = 0.0) -> list[int]:
    """Record a history for A; the numbers, from 1, of the outcomes that ejected it."""
    return [
        number
        for number, letter in enumerate(history, 1)
        if detector.record(A, OUTCOMES[letter], total=1, now=now) is not None
    ]


def fail(detector: Detector, endpoint: Endpoint = A, *, total: int = 1, now: float) -> Ejection | None:
    """One answer of 500."""
    return detector.record(endpoint, Outcome(500), total=total, now=now)


@pytest.mark.parametrize(
    ("history", "ejected_by"),
    [
        pytest.param("55", [], id="below-threshold"),
        pytest.param("555", [3], id="at-threshold"),
        pytest.param("G5t", [3], id="every-5xx-counts-alike"),
        pytest.param("ccc", [3], id="connect-failures-count"),
        pytest.param("ttt", [3], id="timeouts-count"),
        pytest.param("552555", [6], id="2xx-resets"),
        pytest.param("553555", [6], id="3xx-resets"),
        pytest.param("554555", [6], id="4xx-resets"),
        pytest.param("559555", [6], id="429-resets"),
        pytest.param("5e5e5", [5], id="an-established-connection-proves-nothing"),
        pytest.param("252525", [], id="never-in-a-row"),
        pytest.param("555555", [3], id="failures-of-an-ejected-endpoint-do-nothing"),
    ],
)
def test_consecutive_5xx(history: str, ejected_by: list[int]) -> None:
    """Only an unbroken run of 5xx answers or failures of local origin ejects."""
    detector = alone(consecutive_5xx=3)

    assert play(detector, history) == ejected_by
    assert detector.is_ejected(A) is bool(ejected_by)


@pytest.mark.parametrize(
    ("status", "is_failure"),
    [
        pytest.param(200, False, id="200"),
        pytest.param(429, False, id="429"),
        pytest.param(499, False, id="499"),
        pytest.param(500, True, id="500"),
        pytest.param(529, True, id="529"),
        pytest.param(599, True, id="599"),
        pytest.param(600, False, id="600"),
    ],
)
def test_which_statuses_are_failures(status: int, *, is_failure: bool) -> None:
    """Exactly 500 to 599."""
    assert Outcome(status).is_failure is is_failure


@pytest.mark.parametrize(
    ("history", "ejected_by"),
    [
        pytest.param("GG", [2], id="gateway-errors"),
        pytest.param("ct", [2], id="local-origin-stands-for-503-and-504"),
        pytest.param("G5G", [], id="a-plain-500-resets-the-gateway-counter"),
        pytest.param("G5GG", [4], id="which-then-starts-again"),
        pytest.param("G5G5", [4], id="but-not-the-5xx-counter"),
        pytest.param("G2G", [], id="success-resets"),
    ],
)
def test_consecutive_gateway_errors(history: str, ejected_by: list[int]) -> None:
    """502, 503 and 504 are counted apart, as well as among the 5xx."""
    assert play(alone(consecutive_gateway=2, consecutive_5xx=4), history) == ejected_by


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_statuses(status: int) -> None:
    """Each of the three is a gateway error, and the reason says so."""
    ejection = alone(consecutive_gateway=1).record(A, Outcome(status), total=1, now=0.0)

    assert ejection == Ejection(A, Reason.CONSECUTIVE_GATEWAY, 10.0, 1)


@pytest.mark.parametrize("status", [500, 501, 505, 529])
def test_5xx_that_are_no_gateway_errors(status: int) -> None:
    """The other 5xx never reach the gateway threshold."""
    detector = alone(consecutive_gateway=1, consecutive_5xx=2)

    assert detector.record(A, Outcome(status), total=1, now=0.0) is None
    assert detector.record(A, Outcome(status), total=1, now=0.0) == Ejection(
        A, Reason.CONSECUTIVE_5XX, 10.0, 1
    )


@pytest.mark.parametrize(
    ("history", "ejected_by"),
    [
        pytest.param("cc", [2], id="local-failures"),
        pytest.param("ct", [2], id="of-any-kind"),
        pytest.param("cec", [], id="an-established-connection-resets"),
        pytest.param("c2c", [3], id="an-answer-does-not"),
        pytest.param("c5c", [3], id="nor-a-500"),
        pytest.param("5c5", [], id="they-are-not-among-the-5xx"),
        pytest.param("5e55", [4], id="and-a-connection-does-not-reset-the-5xx"),
    ],
)
def test_split_local_origin(history: str, ejected_by: list[int]) -> None:
    """Split off, failures of local origin have a counter of their own, reset by a connection."""
    detector = alone(split_local_origin=True, consecutive_local_origin=2, consecutive_5xx=3)

    assert play(detector, history) == ejected_by


def test_the_reason_of_a_split_failure() -> None:
    """A connect failure ejects for what it is."""
    detector = alone(split_local_origin=True, consecutive_local_origin=1)

    ejection = detector.record(A, OUTCOMES["c"], total=1, now=0.0)

    assert ejection == Ejection(A, Reason.CONSECUTIVE_LOCAL_ORIGIN, 10.0, 1)


@pytest.mark.parametrize(
    ("policy", "history"),
    [
        pytest.param({"consecutive_5xx": 0}, "5" * 20, id="5xx"),
        pytest.param({"consecutive_5xx": 0, "consecutive_gateway": 0}, "G" * 20, id="gateway"),
        pytest.param(
            {"split_local_origin": True, "consecutive_local_origin": 0}, "c" * 20, id="local-origin"
        ),
    ],
)
def test_threshold_zero_is_off(policy: dict[str, object], history: str) -> None:
    """Counters are raised before they are compared, so that 0 is never met."""
    assert play(alone(**policy), history) == []


@pytest.mark.parametrize(
    ("codes", "history", "ejected_by"),
    [
        pytest.param({429}, "99", [2], id="listed"),
        pytest.param({429}, "9595", [], id="a-500-is-a-success-and-resets"),
        pytest.param({429}, "9G9G", [], id="a-503-too"),
        pytest.param({429}, "9299", [4], id="a-200-too"),
        pytest.param({500}, "5G55", [4], id="a-5xx-that-is-not-listed-resets"),
        pytest.param({429, 503}, "9G", [2], id="two-codes-count-together"),
        pytest.param({200}, "22", [2], id="even-200"),
        pytest.param({429}, "9c", [2], id="failures-of-local-origin-count-all-the-same"),
        pytest.param({429}, "9e9", [3], id="an-established-connection-proves-nothing"),
        pytest.param(set(), "55", [], id="none-of-the-statuses"),
        pytest.param(None, "55", [2], id="no-list-is-5xx"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_error_codes(codes: set[int] | None, history: str, ejected_by: list[int], *, split: bool) -> None:
    """Of the answers, those listed are failures and all others successes; split or not."""
    if split and "c" in history:
        ejected_by = []  # counted apart
    listed = None if codes is None else frozenset(codes)
    detector = alone(consecutive_5xx=2, error_codes=listed, split_local_origin=split)

    assert play(detector, history) == ejected_by


@pytest.mark.parametrize(
    ("history", "ejected_by"),
    [
        pytest.param("GG", [2], id="a-503-is-one"),
        pytest.param("99", [], id="a-429-is-none"),
        pytest.param("G9G", [], id="and-resets-the-gateway-counter"),
        pytest.param("G5G", [], id="as-does-a-success"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_error_codes_and_gateway_errors(history: str, ejected_by: list[int], *, split: bool) -> None:
    """What is listed counts by its own status if that is a 5xx, and as 500 if it is not (measured)."""
    detector = alone(
        consecutive_5xx=9,
        consecutive_gateway=2,
        error_codes=frozenset({429, 503}),
        split_local_origin=split,
    )

    assert play(detector, history) == ejected_by


def test_a_cut_body_counts_once() -> None:
    """200 resets, the reset after it counts 1: threshold 1 ejects, threshold 2 is never reached."""
    assert play(alone(consecutive_5xx=1), "2c") == [2]
    assert play(alone(consecutive_5xx=2), "2c2c2c2c") == []


def test_a_500_cut_in_its_body_counts_twice() -> None:
    """The status and the reset are two failures."""
    assert play(alone(consecutive_5xx=2), "5c") == [2]


@pytest.mark.parametrize(
    ("total", "percent", "ejected"),
    [
        pytest.param(1, 10, 0, id="lone-default"),
        pytest.param(1, 99, 0, id="lone-99"),
        pytest.param(1, 100, 1, id="lone-100"),
        pytest.param(2, 49, 0, id="two-49"),
        pytest.param(2, 50, 1, id="two-50"),
        pytest.param(2, 100, 2, id="two-100"),
        pytest.param(3, 33, 0, id="three-33"),
        pytest.param(3, 34, 1, id="three-34"),
        pytest.param(3, 50, 1, id="three-50"),
        pytest.param(3, 67, 2, id="three-67"),
        pytest.param(10, 10, 1, id="ten-10"),
        pytest.param(10, 50, 5, id="ten-50"),
        pytest.param(10, 100, 10, id="ten-100"),
        pytest.param(10, 0, 0, id="ten-0"),
    ],
)
def test_max_ejection_percent(total: int, percent: int, ejected: int) -> None:
    """An ejection may not take the share of ejected endpoints above the percentage."""
    endpoints = [Endpoint("10.0.0.1", port) for port in range(1, total + 1)]
    detector = alone(consecutive_5xx=1, max_ejection_percent=percent)

    ejections = [fail(detector, endpoint, total=total, now=0.0) for endpoint in endpoints]

    assert [ejection is not None for ejection in ejections] == [number < ejected for number in range(total)]
    assert [detector.is_ejected(endpoint) for endpoint in endpoints] == [
        number < ejected for number in range(total)
    ]


def test_a_return_makes_room() -> None:
    """The percentage is of those ejected now."""
    detector = alone(consecutive_5xx=1, max_ejection_percent=50)
    fail(detector, A, total=2, now=0.0)
    assert fail(detector, B, total=2, now=9.0) is None

    assert detector.advance(10.0) == [Return(A, 10.0)]
    assert fail(detector, B, total=2, now=10.0) == Ejection(B, Reason.CONSECUTIVE_5XX, 10.0, 1)


def test_a_refused_ejection_restarts_the_counter() -> None:
    """Another whole run of failures is needed, even when the percentage allows it by then."""
    detector = alone(consecutive_5xx=2)
    refused = [fail(detector, total=2, now=0.0), fail(detector, B, total=2, now=0.0)]
    detector = alone(consecutive_5xx=2, max_ejection_percent=50)

    refused += [fail(detector, total=1, now=0.0) for _ in range(3)]

    assert refused == [None] * 5
    assert fail(detector, total=2, now=0.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)


def test_a_refused_gateway_ejection_leaves_the_5xx_counter() -> None:
    """Only the counter that triggered starts again."""
    detector = alone(consecutive_gateway=2, consecutive_5xx=3, max_ejection_percent=50)
    for _ in range(2):
        assert detector.record(A, Outcome(503), total=1, now=0.0) is None

    assert detector.record(A, Outcome(503), total=2, now=0.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)


def test_counters_have_no_window() -> None:
    """A failure of last week counts, as long as nothing better came in between."""
    detector = alone(consecutive_5xx=2)

    assert fail(detector, now=0.0) is None
    assert fail(detector, now=604_800.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)


def test_endpoints_are_counted_apart() -> None:
    """Failures of one endpoint are none of another's."""
    detector = alone(consecutive_5xx=2)
    fail(detector, A, total=2, now=0.0)
    fail(detector, B, total=2, now=0.0)

    assert (detector.is_ejected(A), detector.is_ejected(B)) == (False, False)
    assert fail(detector, A, total=2, now=0.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)
    assert (detector.is_ejected(A), detector.is_ejected(B)) == (True, False)


def test_failures_while_ejected_are_forgotten() -> None:
    """They neither prolong the ejection nor count after it."""
    detector = alone(consecutive_5xx=2)
    for _ in range(2):
        fail(detector, now=0.0)
    for _ in range(3):
        assert fail(detector, now=9.0) is None

    assert detector.advance(10.0) == [Return(A, 10.0)]
    assert fail(detector, now=10.0) is None
    assert detector.is_ejected(A) is False


def test_a_late_failure_after_the_return_counts() -> None:
    """There is no half-open state: the threshold applies again from 0, to whatever arrives."""
    detector = alone(consecutive_5xx=1)
    fail(detector, now=0.0)
    detector.advance(10.0)

    assert fail(detector, now=10.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 20.0, 2)


def test_success_while_ejected_does_not_return() -> None:
    """Requests in flight finish; what they prove comes too late."""
    detector = alone(consecutive_5xx=1)
    fail(detector, now=0.0)
    detector.record(A, Outcome(200), total=1, now=5.0)

    assert detector.advance(9.0) == []
    assert detector.is_ejected(A) is True


@pytest.mark.parametrize(
    ("failed_at", "returned_at"),
    [
        pytest.param(0.0, 10.0, id="on-a-sweep"),
        pytest.param(0.125, 11.0, id="just-after-one"),
        pytest.param(0.875, 11.0, id="just-before-one"),
        pytest.param(3.5, 14.0, id="between"),
    ],
)
def test_the_tutorial_returns_after_10_to_11_seconds(failed_at: float, returned_at: float) -> None:
    """Base 10 s ends on the first sweep, once a second, that finds it over."""
    detector = alone(consecutive_5xx=1)
    fail(detector, now=failed_at)

    assert detector.next_return == returned_at
    assert detector.advance(returned_at - 0.125) == []
    assert detector.is_ejected(A) is True
    assert detector.advance(returned_at) == [Return(A, returned_at - failed_at)]
    assert detector.is_ejected(A) is False
    assert detector.next_return is None


def test_sweeps_are_anchored_at_creation() -> None:
    """They tick from when the detector was made, whatever the clock shows and whoever asks."""
    detector = Detector(
        OutlierPolicy(consecutive_5xx=1, max_ejection_percent=100, interval_s=4.0, base_ejection_s=5.0),
        created_at=1001.5,
    )
    detector.advance(1003.0)
    fail(detector, now=1004.0)

    assert detector.next_return == 1009.5


@pytest.mark.parametrize("interval_s", [0.1, 0.3, 0.7, 0.001])
def test_binary_fractions_move_no_sweep(interval_s: float) -> None:
    """An ejection that ends on a sweep ends there although its time has no exact binary form."""
    detector = alone(consecutive_5xx=1, interval_s=interval_s, base_ejection_s=interval_s * 3)
    fail(detector, now=interval_s * 7)

    assert detector.next_return == pytest.approx(interval_s * 10, abs=interval_s / 1000)


def test_an_advance_that_comes_late_reports_the_sweep() -> None:
    """The return happened on the sweep, although nobody looked before."""
    detector = alone(consecutive_5xx=1)
    fail(detector, now=0.5)

    assert detector.advance(1e9) == [Return(A, 10.5)]


def test_a_decade_of_idling_is_computed_at_once() -> None:
    """With a sweep every millisecond, ten years are 3e11 sweeps: a loop over them would not end."""
    detector = alone(consecutive_5xx=1, interval_s=0.001, base_ejection_s=0.001)
    for second in range(3):
        fail(detector, now=float(second))
        detector.advance(second + 0.5)
    ten_years = 315_360_000.0

    assert detector.advance(ten_years) == []
    assert detector.multiplier(A, now=ten_years) == 0
    assert fail(detector, now=ten_years) == Ejection(A, Reason.CONSECUTIVE_5XX, 0.001, 1)


def test_ejections_in_a_row_grow() -> None:
    """1x, 2x, 3x the base, when each failure comes right upon the return."""
    detector = alone(consecutive_5xx=1)
    now, durations = 0.0, []
    for _ in range(4):
        ejection = fail(detector, now=now)
        assert ejection is not None
        durations.append((ejection.multiplier, ejection.duration_s))
        now += ejection.duration_s
        assert detector.advance(now) == [Return(A, ejection.duration_s)]

    assert durations == [(1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)]


@pytest.mark.parametrize(
    ("base_s", "multipliers", "durations"),
    [
        pytest.param(100.0, [1, 2, 3, 4, 4], [100.0, 200.0, 300.0, 300.0, 300.0], id="300-seconds"),
        pytest.param(200.0, [1, 2, 3, 3], [200.0, 300.0, 300.0, 300.0], id="not-a-multiple"),
        pytest.param(400.0, [1, 2, 2], [400.0, 400.0, 400.0], id="the-base-if-more"),
        pytest.param(300.0, [1, 2, 2], [300.0, 300.0, 300.0], id="the-base-just-so"),
    ],
)
def test_growth_is_capped(base_s: float, multipliers: list[int], durations: list[float]) -> None:
    """At max(300 s, base); the multiplier stops once base x multiplier reaches that and one base more."""
    detector = alone(consecutive_5xx=1, base_ejection_s=base_s)
    now, seen = 0.0, []
    for _ in multipliers:
        ejection = fail(detector, now=now)
        assert ejection is not None
        seen.append((ejection.multiplier, ejection.duration_s))
        now += ejection.duration_s
        detector.advance(now)

    assert seen == list(zip(multipliers, durations, strict=True))


@pytest.mark.parametrize(
    ("after_s", "multiplier"),
    [
        pytest.param(0.0, 3, id="on-the-sweep-that-returned-it"),
        pytest.param(0.875, 3, id="before-the-next-sweep"),
        pytest.param(1.0, 2, id="one-sweep-survived"),
        pytest.param(1.875, 2, id="before-the-second"),
        pytest.param(2.0, 1, id="two-survived"),
        pytest.param(3.0, 0, id="three-survived"),
        pytest.param(100.0, 0, id="never-below-0"),
    ],
)
def test_the_multiplier_decays(after_s: float, multiplier: int) -> None:
    """One step for each sweep that finds the endpoint back for a whole interval."""
    detector = alone(consecutive_5xx=1)
    now = 0.0
    for times in (1, 2, 3):
        fail(detector, now=now)
        now += 10.0 * times
        detector.advance(now)

    assert detector.multiplier(A, now=now + after_s) == multiplier
    ejection = fail(detector, now=now + after_s)
    assert ejection == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0 * (multiplier + 1), multiplier + 1)


def test_a_primary_that_takes_the_connect_timeout_to_fail_never_grows() -> None:
    """By the time a black-holed primary has failed again, the tutorial's sweeps have forgotten all."""
    detector = alone(consecutive_5xx=1)
    now = 0.0
    for _ in range(5):
        assert fail(detector, now=now) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)
        detector.advance(now + 10.0)
        now += 20.0


def test_the_multiplier_of_an_ejected_endpoint_does_not_decay() -> None:
    """It decays on sweeps that find the endpoint in rotation."""
    detector = alone(consecutive_5xx=1)
    fail(detector, now=0.0)

    assert detector.multiplier(A, now=9.0) == 1
    assert detector.multiplier(B, now=9.0) == 0


def test_next_return_is_the_earliest() -> None:
    """Of several ejections the one that ends first."""
    detector = alone(consecutive_5xx=1)
    fail(detector, A, total=3, now=0.0)
    fail(detector, B, total=3, now=5.0)
    assert detector.next_return == 10.0

    assert detector.advance(10.0) == [Return(A, 10.0)]
    assert detector.next_return == 15.0
    assert detector.advance(15.0) == [Return(B, 10.0)]


def test_an_endpoint_that_left_starts_afresh() -> None:
    """Its ejection, its counters and its multiplier are gone with it."""
    detector = alone(consecutive_5xx=2)
    for endpoint in (A, A, B, C):
        fail(detector, endpoint, total=3, now=0.0)

    detector.keep_only([C])

    assert detector.next_return is None
    assert detector.is_ejected(A) is False
    assert fail(detector, B, total=3, now=0.0) is None
    assert fail(detector, C, total=3, now=0.0) == Ejection(C, Reason.CONSECUTIVE_5XX, 10.0, 1)
    assert fail(detector, A, total=3, now=0.0) is None
    assert fail(detector, A, total=3, now=0.0) == Ejection(A, Reason.CONSECUTIVE_5XX, 10.0, 1)


def test_an_ejected_endpoint_that_left_makes_room() -> None:
    """It no longer counts among the ejected."""
    detector = alone(consecutive_5xx=1, max_ejection_percent=50)
    fail(detector, A, total=2, now=0.0)
    detector.keep_only([B, C])

    assert fail(detector, B, total=2, now=0.0) == Ejection(B, Reason.CONSECUTIVE_5XX, 10.0, 1)


@pytest.mark.parametrize(
    ("endpoint", "written"),
    [
        pytest.param(Endpoint("10.0.0.1", 443), "10.0.0.1:443", id="ipv4"),
        pytest.param(Endpoint("a.example.com", 80), "a.example.com:80", id="name"),
        pytest.param(Endpoint("::1", 8080), "[::1]:8080", id="ipv6"),
    ],
)
def test_an_endpoint_as_people_write_it(endpoint: Endpoint, written: str) -> None:
    """Brackets around an IPv6 address."""
    assert str(endpoint) == written
