"""Pins, faults and places, as people write them and as they act."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot, Target
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides import BadActionError, Fault, FaultKind, Overrides, Place, fault_of
from llm_fallback.overrides.fault import WITHOUT_BODY
from llm_fallback.overrides.places import managed_host, single_target
from llm_fallback.overrides.words import fault_file, fault_words, seconds
from llm_fallback.redaction import is_credential

E1, E2 = Endpoint("10.0.0.1", 443), Endpoint("::1", 443)
A80, A443, A_V1 = (
    Target("a.com", 80, (E1,)),
    Target("a.com", 443, (E1,)),
    Target("a.com", 443, (E1,), subset="v1"),
)
B80 = Target("b.com", 80, (E2,))
SNAPSHOT = Snapshot(
    {
        "a.com": Service("a.com", {(t.port, t.subset): t for t in (A80, A443, A_V1)}),
        "b.com": Service("b.com", {(80, None): B80}),
    },
    {"a.com": VirtualHost("vs", ())},
    {".example.com": VirtualHost("wild", ())},
)


def said(action: object, *arguments: object) -> str:
    """The sentence of a refusal."""
    assert callable(action)
    with pytest.raises(BadActionError) as refused:
        action(*arguments)
    return str(refused.value)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("a.com", Place("a.com")),
        (" A.com. ", Place("a.com")),
        ("a.com:80", Place("a.com", 80)),
        ("a.com/v1", Place("a.com", None, "v1")),
        ("a.com:443/v1", Place("a.com", 443, "v1")),
        ("a.com:80@10.0.0.1:443", Place("a.com", 80, None, E1)),
        ("a.com@[::1]:443", Place("a.com", None, None, E2)),
        ("[::1]:80", Place("[::1]", 80)),
    ],
)
def test_places(written: str, place: Place) -> None:
    """Host, port, subset and endpoint, all but the host optional; written again as they were read."""
    assert Place.parse(written) == place
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize(
    "written", ["", ":80", "a.com:", "a.com:http", "a.com@", "a com", "a.com:80/", "a" * 9999]
)
def test_what_is_no_place(written: str) -> None:
    """It is said how to write one, in a sentence that is short enough to be read."""
    sentence = said(Place.parse, written)
    assert "write HOST[:PORT][/SUBSET][@ADDRESS:PORT]" in sentence
    assert len(sentence) < 1100


def test_what_is_no_endpoint() -> None:
    """Its port is missing."""
    assert said(Place.parse, "a.com@10.0.0.1") == (
        "'10.0.0.1' is no endpoint; write ADDRESS:PORT, as the status shows it"
    )


@pytest.mark.parametrize(
    ("written", "targets"),
    [
        ("a.com", [A80, A443, A_V1]),
        ("a.com:80", [A80]),
        ("a.com:443", [A443, A_V1]),
        ("a.com/v1", [A_V1]),
    ],
)
def test_targets_of_a_place(written: str, targets: list[Target]) -> None:
    """What is left out means all."""
    assert list(Place.parse(written).targets(SNAPSHOT)) == targets


def test_a_place_that_does_not_exist_names_those_that_do() -> None:
    """And the nearest."""
    assert said(Place.parse("a.co:80").targets, SNAPSHOT) == (
        "no target a.co:80 (did you mean a.com:80?); there are a.com:80, a.com:443, a.com:443/v1, b.com:80"
    )
    assert said(Place.parse("x").targets, Snapshot()) == "no target x; there are none"


def test_a_pin_needs_one_target_and_a_managed_host() -> None:
    """Or it is said what there is to choose from."""
    assert single_target("b.com", SNAPSHOT) is B80
    assert single_target("a.com:443", SNAPSHOT) is A443
    assert "is not one target; there are a.com:80, a.com:443, a.com:443/v1" in said(
        single_target, "a.com", SNAPSHOT
    )
    assert "is an endpoint" in said(single_target, "b.com:80@[::1]:443", SNAPSHOT)
    assert managed_host("API.Example.com.", SNAPSHOT) == "api.example.com"
    assert said(managed_host, "b.com", SNAPSHOT) == (
        "no managed host b.com (did you mean a.com?); there are a.com, *.example.com"
    )
    assert "no managed host *.example.com" in said(managed_host, "*.example.com", SNAPSHOT)


@pytest.mark.parametrize(
    ("words", "fault", "text"),
    [
        ("status 503", Fault(FaultKind.STATUS, 503), "status 503"),
        ("delay 2s", Fault(FaultKind.DELAY, delay_s=2.0), "delay 2 s"),
        ("reset", Fault(FaultKind.RESET), "reset"),
        ("hang --percentage 50%", Fault(FaultKind.HANG, percentage=50.0), "hang"),
        ("connect-failure --count=3", Fault(FaultKind.CONNECT_FAILURE, count=3), "connect-failure"),
        ("cut --body data:", Fault(FaultKind.CUT, body=b"data:"), "cut"),
        (
            "status 429 --header Retry-After:20 --header X:1",
            Fault(FaultKind.STATUS, 429, (("Retry-After", "20"), ("X", "1"))),
            "status 429",
        ),
    ],
)
def test_words_of_a_fault(words: str, fault: Fault, text: str) -> None:
    """The kind, the value that it takes, and options."""
    made = fault_of(fault_words(words.split()))

    assert made == fault
    assert str(made) == text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "which fault? There are status, delay, reset, hang, connect-failure, cut"),
        ("statsu 503", "fault: no kind statsu (did you mean status?); there are status"),
        ("status", "fault: status takes a status, such as 503"),
        ("status 99", "fault: status: write a number from 200 to 599"),
        ("status x", "status: 'x' is no whole number"),
        ("status 503 504", "fault: '504' is too much after status"),
        ("reset 1", "fault: '1' is too much after reset"),
        ("delay 2", "delay: '2' is not a duration; write a number with a unit"),
        ("reset --body x", "fault: reset takes no body"),
        ("hang --percentage 0", "fault: percentage: write a number above 0 and up to 100"),
        ("hang --percentage x", "--percentage: 'x' is no number"),
        ("hang --percentage nan", "fault: percentage: write a number"),
        ("hang --count 0", "fault: count: write a whole number from 1"),
        ("hang --conut 1", "no option --conut (did you mean --count?)"),
        ("cut --header x", "--header: write 'name: value'"),
    ],
)
def test_words_that_are_no_fault(words: str, sentence: str) -> None:
    """One sentence says what is wrong, and what there is."""
    assert said(fault_words, words.split()).startswith(sentence)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("reset", "a fault is an object"),
        ({}, "fault: no kind given; there are status"),
        ({"kind": "reset", "statsu": 1}, "fault: no member 'statsu' (did you mean status?)"),
        ({"kind": "hang", "delay_s": 1}, "fault: hang takes no delay_s"),
        ({"kind": "delay"}, "fault: delay_s: write a number of seconds above 0"),
        ({"kind": "reset", "delay_s": True}, "fault: delay_s: write a number"),
        ({"kind": "status", "status": True}, "fault: status: write a number from 200 to 599"),
        ({"kind": "cut", "headers": {"a": 1}}, "fault: headers: write an object of texts"),
        ({"kind": "cut", "headers": {"a": "b\r\nc: d"}}, "fault: headers: there is a name or a value"),
        ({"kind": "cut", "body": "a", "body_base64": "YQ=="}, "fault: write body or body_base64, not both"),
        ({"kind": "cut", "body": 1}, "fault: body: write a text"),
        ({"kind": "cut", "body_base64": "?"}, "fault: body_base64: that is no Base64"),
        ({"kind": "cut", "count": 1.5}, "fault: count: write a whole number from 1"),
        ({"kind": "cut", "count": 10**400}, "fault: count: write a whole number from 1 to 1000000000"),
        ({"kind": "delay", "delay_s": 10**400}, "fault: delay_s: write a number"),
        ({"kind": "reset", "percentage": 10**400}, "fault: percentage: write a number"),
        ({"kind": "cut", "headers": {"a": "\ud800"}}, "fault: headers: there is a name or a value"),
        ({"kind": "cut", "status": 204}, "fault: status: an answer with 204 has no body that could be cut"),
        ({"kind": "reset" * 100_000}, "fault: no kind resetreset"),
    ],
)
def test_data_that_is_no_fault(data: object, sentence: str) -> None:
    """The member and what to write are said."""
    assert said(fault_of, data).startswith(sentence)


NAMES = st.from_regex(r"x-[a-z]{1,8}", fullmatch=True).filter(lambda name: not is_credential(name))
FAULTS = st.builds(
    Fault,
    st.sampled_from([FaultKind.STATUS, FaultKind.CUT]),
    st.integers(200, 599),
    st.dictionaries(NAMES, st.from_regex(r"[ -~]{0,9}", fullmatch=True)).map(lambda d: tuple(d.items())),
    st.none() | st.binary(max_size=20),
    st.floats(0, 9).map(lambda s: round(s, 3)),
    st.floats(0.5, 100),
    st.none() | st.integers(1, 9),
).filter(lambda fault: fault.kind is FaultKind.STATUS or fault.status not in WITHOUT_BODY)


@given(FAULTS)
def test_a_fault_survives_as_data(fault: Fault) -> None:
    """Through JSON, bytes that are no text included."""
    assert fault_of(json.loads(json.dumps(fault.as_data()))) == fault


def test_what_is_exported_holds_no_credential() -> None:
    """Nor what belongs to one connection, or to the answer's own moment."""
    headers = (
        ("Set-Cookie", "session=secret"),
        ("X-Api-Key", "secret"),
        ("Connection", "close"),
        ("Date", "today"),
        ("Retry-After", "20"),
        ("Vary", "a"),
        ("vary", "b"),
    )

    assert Fault(FaultKind.STATUS, 429, headers).as_data() == {
        "kind": "status",
        "status": 429,
        "headers": {"retry-after": "20", "vary": "a, b"},
    }


def test_the_file_of_a_fault_knows_its_place() -> None:
    """Unless another one is given."""
    text = '{"place": "a.com:80", "kind": "reset"}'

    assert fault_file(text) == ("a.com:80", {"kind": "reset"})
    assert fault_file(text, "b.com")[0] == "b.com"
    assert said(fault_file, '{"kind": "reset"}') == "the fault's file names no place; write one before -f"
    assert said(fault_file, "kind: reset") == "the file of a fault is not JSON"
    assert said(fault_file, "[" * 100_000) == "the file of a fault is not JSON"


def test_times() -> None:
    """They need a unit."""
    assert seconds("1m30s") == 90.0
    assert said(seconds, "30").startswith("'30' is not a duration")


def struck(overrides: Overrides, target: Target, endpoint: Endpoint = E1, *, seed: int = 0) -> str | None:
    """What strikes an attempt."""
    injected = overrides.strike(target.key, endpoint, random.Random(seed))
    return str(injected.fault) if injected else None


def test_a_fault_strikes_at_its_place_only() -> None:
    """All targets of a host, one target, or one endpoint."""
    overrides = Overrides()
    overrides.inject(Place.parse("a.com:443@10.0.0.1:443"), Fault(FaultKind.RESET))

    assert struck(overrides, A443) == struck(overrides, A_V1) == "reset"
    assert struck(overrides, A80) is struck(overrides, A443, E2) is struck(overrides, B80) is None


def test_a_fault_with_a_count_is_spent() -> None:
    """And gone: the next attempts meet the one that was set before it."""
    overrides = Overrides()
    overrides.inject(Place("a.com"), Fault(FaultKind.HANG))
    overrides.inject(Place("a.com"), Fault(FaultKind.RESET, count=2))

    assert [str(each) for each in overrides.faults] == ["hang", "reset, 2 left"]
    assert [struck(overrides, A80) for _ in range(3)] == ["reset", "reset", "hang"]
    assert [each.id for each in overrides.faults] == [1]


def test_a_percentage_is_of_the_attempts() -> None:
    """Each is drawn for."""
    overrides, rng = Overrides(), random.Random(7)
    injected = overrides.inject(Place("a.com"), Fault(FaultKind.RESET, percentage=25))
    hits = sum(overrides.strike(A80.key, E1, rng) is injected for _ in range(4000))

    assert 900 < hits < 1100
    assert str(injected) == "reset, 25 %"


def test_clearing() -> None:
    """What lies within a place goes with it; what reaches beyond it stays."""
    overrides = Overrides()
    for place in ("a.com", "a.com:80", "a.com:80@10.0.0.1:443", "b.com:80"):
        overrides.inject(Place.parse(place), Fault(FaultKind.RESET))
    overrides.pins |= {"a.com": B80.key, "c.com": B80.key}

    assert overrides.clear_faults(Place("a.com", 80)) == 2
    assert [str(each.place) for each in overrides.faults] == ["a.com", "b.com:80"]
    assert overrides.clear_faults() == 2
    assert (overrides.pinned("A.com."), overrides.clear_pins("A.com")) == (("b.com", 80, None), 1)
    assert (overrides.pinned("a.com"), overrides.clear_pins()) == (None, 1)
