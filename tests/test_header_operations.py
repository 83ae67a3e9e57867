"""What rules do to headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import NO_OPERATIONS, HeaderOperations
from llm_fallback.header_operations import apply, authority, in_order, overwrite
from llm_fallback.headers import Headers

ABC: Headers = (("A", "1"), ("B", "2"), ("a", "3"), ("C", "4"))


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        pytest.param(NO_OPERATIONS, ABC, id="none"),
        pytest.param(
            HeaderOperations(remove=("a", "x")), (("B", "2"), ("C", "4")), id="remove-all-of-a-name"
        ),
        pytest.param(
            HeaderOperations(set=(("b", "9"),)), (*ABC[:1], *ABC[2:], ("b", "9")), id="set-replaces"
        ),
        pytest.param(
            HeaderOperations(set=(("A", "9"),)), (("B", "2"), ("C", "4"), ("A", "9")), id="set-replaces-all"
        ),
        pytest.param(HeaderOperations(set=(("X", "9"),)), (*ABC, ("X", "9")), id="set-adds"),
        pytest.param(
            HeaderOperations(set=(("X", "8"), ("x", "9"))), (*ABC, ("x", "9")), id="the-last-set-counts"
        ),
        pytest.param(HeaderOperations(add=(("A", "9"),)), (*ABC, ("A", "9")), id="add-appends"),
        pytest.param(
            HeaderOperations(set=(("A", "8"),), add=(("A", "9"),), remove=("A", "B")),
            (("C", "4"), ("A", "8"), ("A", "9")),
            id="removed-then-set-then-added",
        ),
        pytest.param(
            HeaderOperations(
                set=(("Host", "x"), (":path", "/")), add=((":authority", "x"),), remove=("host",)
            ),
            ABC,
            id="pseudo-headers-and-host-are-none",
        ),
        pytest.param(HeaderOperations(set=(("A", ""),), add=(("X", ""),)), ABC, id="an-empty-value-is-none"),
        pytest.param(HeaderOperations(set=(("X", "100%%"),)), (*ABC, ("X", "100%")), id="percent"),
    ],
)
def test_apply(operations: HeaderOperations, expected: Headers) -> None:
    assert apply(operations, ABC) == expected


def test_host_among_the_headers_is_left_alone() -> None:
    headers = (("Host", "a.com"), ("A", "1"))

    assert apply(HeaderOperations(set=(("host", "b.com"),), remove=("Host", "a")), headers) == headers[:1]


ROUTE = HeaderOperations(set=(("X", "route"),), add=(("Y", "route"),), remove=("Z",))
DESTINATION = HeaderOperations(set=(("X", "destination"), ("Z", "destination")), remove=("Y",))


@pytest.mark.parametrize(
    ("is_weighted", "expected"),
    [
        pytest.param(
            False,
            (("X", "destination"), ("Z", "destination"), ("Y", "route")),
            id="an-only-destinations-come-after-the-rules",
        ),
        pytest.param(True, (("X", "route"), ("Y", "route")), id="one-of-several-is-overruled"),
    ],
)
def test_in_order(*, is_weighted: bool, expected: Headers) -> None:
    """Istio's and Envoy's order."""
    headers: Headers = (("Y", "client"), ("Z", "client"))
    for operations in in_order(ROUTE, DESTINATION, is_weighted=is_weighted):
        headers = apply(operations, headers)

    assert headers == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        pytest.param(ROUTE, None, id="none"),
        pytest.param(HeaderOperations(set=(("Host", "a"),)), "a", id="host"),
        pytest.param(HeaderOperations(add=((":authority", "a:80"),)), "a:80", id="authority"),
        pytest.param(HeaderOperations(set=(("host", "a"),), add=(("host", "b"),)), "a", id="set-before-add"),
        pytest.param(HeaderOperations(set=(("host", ""),)), None, id="empty"),
        pytest.param(HeaderOperations(remove=("host",)), None, id="removed"),
    ],
)
def test_authority(operations: HeaderOperations, expected: str | None) -> None:
    assert authority(operations) == expected


names = st.sampled_from(["a", "A", "b", "C", "host"])
fields = st.lists(st.tuples(names, st.text("x%", max_size=3)), max_size=4).map(tuple)
operations = st.builds(HeaderOperations, fields, fields, st.lists(names, max_size=3).map(tuple))


@given(operations, fields)
def test_what_no_operation_names_stays_as_it_is(given_operations: HeaderOperations, headers: Headers) -> None:
    """With its order; and what was removed is there only if it was set or added."""
    changed = apply(given_operations, headers)

    written = {n.lower() for n, v in (*given_operations.set, *given_operations.add) if v}
    removed = {name.lower() for name in given_operations.remove}
    touched = (written | removed) - {"host"}
    assert [f for f in changed if f[0].lower() not in touched] == [
        f for f in headers if f[0].lower() not in touched
    ]
    assert {n.lower() for n, _ in changed} & (removed - written - {"host"}) == set()


@given(fields, fields)
def test_overwritten_headers_occur_once(headers: Headers, written: Headers) -> None:
    """With the last value of a name; the others stay."""
    changed = overwrite(headers, written)

    last = {name.lower(): value for name, value in written}
    assert {n.lower(): v for n, v in changed if n.lower() in last} == last
    assert len(changed) == len(last) + sum(n.lower() not in last for n, _ in headers)
