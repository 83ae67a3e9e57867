"""Which rule a request falls under."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import DirectResponse, Match, MatchType, Route, StringMatch
from llm_fallback.matching import RequestFacts, explain_mismatch, find, matches, string_matches

PRESENT = StringMatch(MatchType.PRESENT)


def exact(value: str, *, ignore_case: bool = False) -> StringMatch:
    return StringMatch(MatchType.EXACT, value, ignore_case)


def prefix(value: str, *, ignore_case: bool = False) -> StringMatch:
    return StringMatch(MatchType.PREFIX, value, ignore_case)


def regex(value: str) -> StringMatch:
    return StringMatch(MatchType.REGEX, value, pattern=re2.compile(value))


def facts(
    path: str = "/v1/chat",
    query: str = "",
    *headers: tuple[str, str],
    method: str = "POST",
    authority: str = "a.com:8080",
) -> RequestFacts:
    return RequestFacts(method, "http", authority, path, query, headers, 8080)


def route(name: str, *alternatives: Match) -> Route:
    return Route(name, "f:1", DirectResponse(200), alternatives)


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        pytest.param(exact("a"), "a", True, id="exact"),
        pytest.param(exact("a"), "A", False, id="exact-minds-case"),
        pytest.param(exact("a"), "ab", False, id="exact-is-all-of-it"),
        pytest.param(exact("/aB", ignore_case=True), "/Ab", True, id="exact-in-any-case"),
        pytest.param(prefix("a"), "ab", True, id="prefix"),
        pytest.param(prefix("ab"), "a", False, id="prefix-is-longer"),
        pytest.param(prefix(""), "a", True, id="empty-prefix"),
        pytest.param(prefix("/AB", ignore_case=True), "/abc", True, id="prefix-in-any-case"),
        pytest.param(regex(r"\d+$"), "123", True, id="regex"),
        pytest.param(regex(r"\d+$"), "a123", False, id="regex-is-all-of-it"),
        pytest.param(regex("a|ab"), "ab", True, id="regex-any-alternative"),
        pytest.param(regex("(?i)a"), "A", True, id="regex-flag"),
        pytest.param(regex(".*"), "caf\udce9", False, id="regex-not-utf-8"),
        pytest.param(regex(".*"), "café", True, id="regex-utf-8"),
        pytest.param(PRESENT, "", True, id="present"),
    ],
)
def test_string_matches(condition: StringMatch, value: str, *, expected: bool) -> None:
    assert string_matches(condition, value) is expected


USER = ("User-Type", "subscriber")
MATCHES = [
    pytest.param(Match(), facts(), "", id="nothing-asked"),
    pytest.param(Match(uri=prefix("/v1")), facts(query="a=/v2"), "", id="path-without-query"),
    pytest.param(
        Match(uri=exact("/v1")), facts(), "the path is '/v1/chat' and does not equal '/v1'", id="path"
    ),
    pytest.param(
        Match(uri=prefix("/V2", ignore_case=True)),
        facts(),
        "the path is '/v1/chat' and does not start with '/V2', in any case",
        id="path-in-any-case",
    ),
    pytest.param(Match(uri=PRESENT), facts(), "", id="any-path"),
    pytest.param(Match(method=exact("POST")), facts(), "", id="method"),
    pytest.param(
        Match(method=exact("post")),
        facts(),
        "the method is 'POST' and does not equal 'post'",
        id="method-case",
    ),
    pytest.param(
        Match(scheme=exact("https")), facts(), "the scheme is 'http' and does not equal 'https'", id="scheme"
    ),
    pytest.param(Match(authority=exact("a.com:8080")), facts(), "", id="authority-as-the-client-wrote-it"),
    pytest.param(
        Match(authority=exact("a.com")),
        facts(),
        "the authority is 'a.com:8080' and does not equal 'a.com'",
        id="authority-with-port",
    ),
    pytest.param(
        Match(headers={"host": prefix("a.com")}), facts("/", "", ("Host", "b")), "", id="host-header"
    ),
    pytest.param(Match(port=8080), facts(), "", id="port"),
    pytest.param(Match(port=80), facts(), "the port is 8080, not 80", id="another-port"),
    pytest.param(Match(headers={"user-type": exact("subscriber")}), facts("/", "", USER), "", id="header"),
    pytest.param(
        Match(headers={"user-type": exact("Subscriber")}),
        facts("/", "", USER),
        "the header user-type is 'subscriber' and does not equal 'Subscriber'",
        id="header-value-minds-case",
    ),
    pytest.param(
        Match(headers={"user-type": regex("sub.*")}),
        facts(),
        "the header user-type is missing",
        id="no-header",
    ),
    pytest.param(
        Match(headers={"a": exact("2")}), facts("/", "", ("A", "1"), ("a", "2")), "", id="one-of-several"
    ),
    pytest.param(
        Match(headers={"a": exact("1,2")}),
        facts("/", "", ("A", "1"), ("a", "2")),
        "the header a is '1' and '2' and does not equal '1,2'",
        id="not-all-of-them-together",
    ),
    pytest.param(Match(headers={"a": PRESENT}), facts("/", "", ("A", "")), "", id="present-and-empty"),
    pytest.param(Match(headers={"a": PRESENT}), facts(), "the header a is missing", id="not-present"),
    pytest.param(Match(without_headers={"a": exact("1")}), facts(), "", id="without-a-missing-one"),
    pytest.param(
        Match(without_headers={"a": exact("1")}), facts("/", "", ("a", "2")), "", id="without-another"
    ),
    pytest.param(
        Match(without_headers={"a": prefix("1")}),
        facts("/", "", ("a", "12")),
        "the header a is '12' and must not start with '1'",
        id="without-this-one",
    ),
    pytest.param(
        Match(without_headers={"a": regex(".*")}),
        facts(),
        "the header a is missing, which counts as empty",
        id="without-an-empty-one",
    ),
    pytest.param(Match(without_headers={"a": PRESENT}), facts(), "", id="without-any-and-missing"),
    pytest.param(
        Match(without_headers={"a": PRESENT}),
        facts("/", "", ("a", "")),
        "the header a is '' and must not be there",
        id="without-any",
    ),
    pytest.param(Match(query_params={"a": exact("1")}), facts("/", "b=2&a=1&a=3"), "", id="first-parameter"),
    pytest.param(
        Match(query_params={"a": exact("3")}),
        facts("/", "a=1&a=3"),
        "the query parameter a is '1' and does not equal '3'",
        id="second-parameter",
    ),
    pytest.param(
        Match(query_params={"a": exact("%20")}), facts("/", "a=%20"), "", id="parameter-not-decoded"
    ),
    pytest.param(Match(query_params={"a": PRESENT}), facts("/", "x&a"), "", id="parameter-without-value"),
    pytest.param(
        Match(query_params={"a": PRESENT}),
        facts("/", "A=1"),
        "the query parameter a is missing",
        id="its-case",
    ),
    pytest.param(
        Match(uri=prefix("/v1"), method=exact("GET"), port=8080),
        facts(),
        "the method is 'POST' and does not equal 'GET'",
        id="all-must-hold",
    ),
]


@pytest.mark.parametrize(("match", "asked", "mismatch"), MATCHES)
def test_match(match: Match, asked: RequestFacts, mismatch: str) -> None:
    """The explanation is empty exactly where the match holds."""
    assert explain_mismatch(match, asked) == mismatch
    assert matches(match, asked) is (mismatch == "")


@pytest.mark.parametrize(
    ("match", "mismatch"),
    [
        pytest.param(
            Match(headers={"authorization": exact("Bearer s3cret-rule")}),
            "the header authorization is there and does not equal the value of the rule",
            id="header",
        ),
        pytest.param(
            Match(without_headers={"x-api-key": regex("s3cret.*")}),
            "the header x-api-key is there and must not match the value of the rule",
            id="without-header",
        ),
        pytest.param(
            Match(query_params={"key": prefix("s3cret-rule")}),
            "the query parameter key is there and does not start with the value of the rule",
            id="query-parameter",
        ),
    ],
)
def test_no_explanation_quotes_a_credential(match: Match, mismatch: str) -> None:
    """Neither the client's nor the rule's."""
    asked = facts("/", "key=s3cret-1", ("Authorization", "Bearer s3cret-2"), ("X-Api-Key", "s3cret-3"))

    assert explain_mismatch(match, asked) == mismatch
    assert "s3cret" not in repr(asked)


def test_find_takes_the_first_rule_and_the_first_match_that_holds() -> None:
    """Matches are alternatives, and a rule without any takes everything."""
    get, post, v1 = Match(method=exact("GET")), Match(method=exact("POST")), Match(uri=prefix("/v1"))
    routes = (route("a", get), route("b", get, post, v1), route("c"), route("d", v1))

    def found(asked: RequestFacts, among: tuple[Route, ...]) -> tuple[str, Match | None] | None:
        result = find(among, asked)
        return (result[0].name, result[1]) if result else None

    assert found(facts(), routes) == ("b", post)
    assert found(facts(method="GET"), routes) == ("a", get)
    assert found(facts(method="PUT", path="/v1"), routes) == ("b", v1)
    assert found(facts(method="PUT", path="/x"), routes) == ("c", None)
    assert found(facts(method="PUT", path="/x"), routes[:2]) is None
    assert found(facts(), ()) is None


texts = st.text("aA/1=&,", max_size=4)
conditions = st.one_of(
    st.just(PRESENT),
    st.builds(exact, texts),
    st.builds(prefix, texts),
    st.sampled_from([regex(".*"), regex("a+")]),
)
named = st.dictionaries(st.sampled_from(["a", "b"]), conditions, max_size=2)


@given(
    st.builds(Match, uri=st.none() | conditions, headers=named, without_headers=named, query_params=named),
    texts,
    texts,
    st.lists(st.tuples(st.sampled_from(["a", "A", "b"]), texts), max_size=3),
)
def test_a_match_that_holds_has_no_mismatch(
    match: Match, path: str, query: str, headers: list[tuple[str, str]]
) -> None:
    """And one that does not holds again without its conditions."""
    asked = facts(path, query, *headers)

    assert matches(match, asked) is (explain_mismatch(match, asked) == "")
    assert matches(Match(), asked)


@given(named, st.lists(st.tuples(st.sampled_from(["a", "A", "b"]), texts), max_size=3))
def test_one_unwanted_header_is_the_opposite_of_a_wanted_one(
    wanted: dict[str, StringMatch], headers: list[tuple[str, str]]
) -> None:
    """For a header that is there."""
    asked = facts("/", "", *headers)
    for name, condition in wanted.items():
        if asked.header(name) is not None:
            is_wanted = matches(Match(headers={name: condition}), asked)
            assert matches(Match(without_headers={name: condition}), asked) is not is_wanted
