"""Rules that get no requests, or send them nowhere."""

import pytest

from tests.config.checked import A, B, codes, llm_route, said
from tests.config.written import rule, virtual_service

ROUTE = "route: [{destination: {host: a.com}}]"
FIRST = "is never reached: the first rule takes every request (remove it, or move it up) [unreachable-route]"


def rules(*matches: str | None) -> str:
    """A VirtualService with a rule for each match, None for a rule without one."""
    http = ", ".join(f"{{match: {match}, {ROUTE}}}" if match else f"{{{ROUTE}}}" for match in matches)
    return A + virtual_service("a.com", http=f"[{http}]")


def test_after_a_catch_all_nothing_is_reached() -> None:
    """The line says which rule takes everything."""
    assert said(rules(None, "[{uri: {prefix: /v1}}]", None)) == [
        f"VirtualService/vs: warning: spec.http[1]: {FIRST}",
        f"VirtualService/vs: warning: spec.http[2]: {FIRST}",
    ]


def test_which_rule_takes_everything() -> None:
    """By its line, if it is not the first."""
    http = f"\n  - {{match: [{{uri: {{exact: /a}}}}], {ROUTE}}}\n  - {{{ROUTE}}}\n  - {{{ROUTE}}}"

    assert said(A + virtual_service("a.com", http=http)) == [
        (
            "VirtualService/vs: warning: spec.http[2]: is never reached: the rule at line 16 takes"
            " every request"
            " (remove it, or move it up) [unreachable-route]"
        )
    ]


@pytest.mark.parametrize(
    "match",
    [
        "[{}]",
        "[{uri: {prefix: /}}]",
        '[{uri: {prefix: ""}}]',
        '[{uri: {regex: ".*"}}]',
        "[{uri: {}}]",
        "[{name: all, ignoreUriCase: true, uri: {prefix: /}}]",
        "[{uri: {exact: /a}}, {uri: {prefix: /}}]",
        '[{uri: {regex: "/.*"}}]',
        '[{uri: {regex: ".+"}}]',
        '[{uri: {regex: "^/.*$"}}]',
        '[{method: {regex: ".*"}}]',
        "[{gateways: [mesh]}]",
    ],
)
def test_matches_that_take_everything(match: str) -> None:
    """Whatever they look like."""
    assert codes(rules(match, "[{uri: {exact: /b}}]")) == ["unreachable-route spec.http[1]"]


@pytest.mark.parametrize(
    "match",
    [
        "[{uri: {prefix: /a}}]",
        "[{uri: {exact: /}}]",
        "[{uri: {prefix: /}, method: {exact: POST}}]",
        "[{headers: {x: {}}}]",
        "[{withoutHeaders: {x: {}}}]",
        '[{queryParams: {x: {regex: ".*"}}}]',
        "[{port: 80}]",
        "[{scheme: {exact: https}}]",
    ],
)
def test_matches_that_leave_something(match: str) -> None:
    """The rule after them gets the rest."""
    assert codes(rules(match, None)) == []


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [
        pytest.param("[{uri: {exact: /a}}]", "[{uri: {exact: /a}}]", False, id="the-same"),
        pytest.param(
            "[{name: x, uri: {exact: /a}}]", "[{name: y, uri: {exact: /a}}]", False, id="but-the-name"
        ),
        pytest.param(
            "[{headers: {a: {exact: x}, b: {exact: y}}}]",
            "[{headers: {b: {exact: y}, a: {exact: x}}}]",
            False,
            id="in-another-order",
        ),
        pytest.param("[{uri: {exact: /a}}]", "[{uri: {prefix: /a}}]", True, id="another-kind"),
        pytest.param("[{uri: {prefix: /a}}]", "[{uri: {exact: /a/b}, port: 80}]", False, id="under-a-prefix"),
        pytest.param("[{uri: {prefix: /a}}]", "[{uri: {prefix: /ab}}]", False, id="a-longer-prefix"),
        pytest.param("[{uri: {prefix: /ab}}]", "[{uri: {prefix: /a}}]", True, id="a-shorter-prefix"),
        pytest.param("[{uri: {prefix: /a}, port: 80}]", "[{uri: {exact: /a}}]", True, id="a-narrow-prefix"),
        pytest.param("[{uri: {prefix: /a}}]", "[{uri: {regex: /a.*}}]", True, id="a-regex-is-not-understood"),
        pytest.param(
            "[{uri: {prefix: /a}}]",
            "[{ignoreUriCase: true, uri: {prefix: /a}}]",
            True,
            id="without-regard-to-case",
        ),
        pytest.param(
            "[{uri: {prefix: /Api}, ignoreUriCase: true}]",
            "[{uri: {prefix: /aPI/v1}}, {uri: {exact: /API}, ignoreUriCase: true}]",
            False,
            id="a-prefix-in-any-case",
        ),
        pytest.param(
            "[{uri: {exact: /a}}]", "[{uri: {exact: /a}}, {uri: {exact: /b}}]", True, id="one-of-two"
        ),
        pytest.param(
            "[{uri: {exact: /b}}, {uri: {exact: /a}}]",
            "[{uri: {exact: /a}}, {uri: {exact: /b}}]",
            False,
            id="all-of-two",
        ),
    ],
)
def test_what_an_earlier_rule_took(first: str, second: str, reached: bool) -> None:  # noqa: FBT001
    """A rule is reached by what no earlier one matches, as far as that is plain to see."""
    found = said(rules(first, second))

    assert len(found) == (not reached)
    assert all(
        "spec.http[1]: is never reached: earlier rules take all its requests" in line for line in found
    )


def test_a_header_of_a_field_s_name_is_no_condition() -> None:
    """So the rule takes everything."""
    assert codes(rules("[{headers: {uri: {exact: ignored}}}]", None)) == [
        "no-effect spec.http[0].match[0].headers.uri",
        "unreachable-route spec.http[1]",
    ]


@pytest.mark.parametrize(
    ("condition", "said_of_it"),
    [
        pytest.param(
            'uri: {exact: "/a?b=1"}',
            "uri.exact: is never fulfilled: the query is no part of the path (write queryParams)",
            id="query",
        ),
        pytest.param(
            "uri: {prefix: v1}",
            "uri.prefix: is never fulfilled: a path begins with / (begin it with /)",
            id="no-slash",
        ),
        pytest.param("uri: {exact: '*'}", None, id="the-path-of-OPTIONS"),
        pytest.param("uri: {exact: ''}", None, id="empty"),
        pytest.param(
            "method: {exact: post}",
            "method.exact: is never fulfilled: methods are in capitals (write POST)",
            id="method",
        ),
        pytest.param("method: {prefix: P}", None, id="beginning-of-a-method"),
        pytest.param("method: {exact: propfind}", None, id="a-method-that-the-mesh-does-not-know"),
        pytest.param(
            "scheme: {exact: HTTP}",
            "scheme.exact: is never fulfilled: schemes are in lower case (write http or https)",
            id="scheme",
        ),
        pytest.param("scheme: {exact: https}", None, id="a-scheme"),
    ],
)
def test_conditions_that_no_request_fulfils(condition: str, said_of_it: str | None) -> None:
    """Whoever wrote them meant something else."""
    assert said(rules(f"[{{{condition}}}]")) == (
        [f"VirtualService/vs: warning: spec.http[0].match[0].{said_of_it} [no-effect]"] if said_of_it else []
    )


BACKEND = "backendRefs: [{providerHost: a.com}]"


@pytest.mark.parametrize(
    ("first", "reached"),
    [
        pytest.param("", False, id="no-matches"),
        pytest.param("matches: [{}], ", False, id="no-conditions"),
        pytest.param("matches: [{headers: {user: {exact: vip}}}], ", True, id="a-condition"),
        pytest.param("matches: [{gateways: [other]}], ", True, id="a-gateway's"),
    ],
)
def test_rules_of_an_llm_route(first: str, reached: bool) -> None:  # noqa: FBT001
    """They are taken in order, too."""
    found = codes(A + llm_route(rules=f"[{{{first}{BACKEND}}}, {{{BACKEND}}}]"))

    assert ("unreachable-route spec.rules[1]" in found) is not reached


@pytest.mark.parametrize(
    ("route", "sums_to_0"),
    [
        pytest.param("[{destination: {host: a.com}}]", False, id="a-single-one"),
        pytest.param("[{destination: {host: a.com}, weight: 0}]", False, id="a-single-one-with-0"),
        pytest.param("[{destination: {host: a.com}}, {destination: {host: b.com}}]", True, id="none"),
        pytest.param(
            "[{destination: {host: a.com}, weight: 0}, {destination: {host: b.com}, weight: 1}]",
            False,
            id="one-of-two",
        ),
    ],
)
def test_weights(route: str, sums_to_0: bool) -> None:  # noqa: FBT001
    """Several destinations without any share are a mistake that the mesh refuses as well."""
    virtual = A + B + virtual_service("a.com", http=f"[{{route: {route}}}]")
    backends = route.replace("destination: {host: a.com}", "providerHost: a.com").replace(
        "destination: {host: b.com}", "providerHost: b.com"
    )

    problem = "the weights sum to 0 (give at least one destination a weight) [zero-weight]"
    assert said(virtual) == [f"VirtualService/vs: error: spec.http[0].route: {problem}"] * sums_to_0
    assert (
        said(A + B + llm_route(rules=f"[{{backendRefs: {backends}}}]"))
        == [f"LLMRoute/r: error: spec.rules[0].backendRefs: {problem}"] * sums_to_0
    )


LABELS = "[{sourceLabels: {app: sleep}}]"
SET_IT = "(set llm_workload to its labels if the proxy stands for that workload) [not-for-us]"


def test_source_labels_without_a_workload() -> None:
    """A rule that asks for them gets nothing, and whoever wrote it should know how it would."""
    never = "never applies: it asks for sourceLabels, and the proxy stands for no workload"

    assert said(rules(LABELS, None)) == [f"VirtualService/vs: warning: spec.http[0]: {never} {SET_IT}"]
    assert said(A + llm_route(rules=f"[{{matches: {LABELS}, {BACKEND}}}]")) == [
        f"LLMRoute/r: warning: spec.rules[0]: {never} {SET_IT}"
    ]


@pytest.mark.parametrize(
    ("match", "workload", "expected"),
    [
        pytest.param(LABELS, {"app": "sleep", "v": "1"}, ["unreachable-route spec.http[1]"], id="ours"),
        pytest.param(LABELS, {"app": "other"}, ["not-for-us spec.http[0]"], id="another-workload's"),
        pytest.param("[{gateways: [istio/gw]}]", None, ["not-for-us spec.http[0]"], id="a-gateway's"),
        pytest.param(
            "[{sourceNamespace: prod}]", None, ["not-for-us spec.http[0]"], id="another-namespace's"
        ),
        pytest.param(
            "[{sourceNamespace: default}]", None, ["unreachable-route spec.http[1]"], id="our-namespace"
        ),
    ],
)
def test_for_whom_a_rule_is(match: str, workload: dict[str, str] | None, expected: list[str]) -> None:
    """Labels, gateways and namespaces are settled before any request comes."""
    assert codes(rules(match, None), workload=workload) == expected


NEVER_LABELS = "never applies: it asks for sourceLabels, and the proxy stands for no workload " + SET_IT
NEVER_NAMESPACE = (
    "never applies: the workload that the proxy stands for counts as one in default"
    " (remove sourceNamespace if that workload is meant) [not-for-us]"
)


@pytest.mark.parametrize(
    ("match", "workload", "line"),
    [
        pytest.param(
            "{gateways: [gw]}", None, "info: {}: is for gateways: it has no effect here [not-for-us]",
            id="gateways",
        ),
        pytest.param("{sourceNamespace: zz}", None, "warning: {}: " + NEVER_NAMESPACE, id="namespace"),
        pytest.param("{sourceLabels: {a: b}}", None, "warning: {}: " + NEVER_LABELS, id="labels"),
        pytest.param(
            "{sourceLabels: {a: b}}",
            {"a": "c"},
            "info: {}: is for other workloads: it has no effect here " + SET_IT,
            id="labels-of-others",
        ),
    ],
)  # fmt: skip
def test_alternatives_for_others(match: str, workload: dict[str, str] | None, line: str) -> None:
    """One of several is left out by itself, the last of them with its rule."""
    service = "VirtualService/vs: "

    assert said(rules(f"[{{uri: {{prefix: /x}}}}, {match}]"), workload=workload) == [
        service + line.format("spec.http[0].match[1]")
    ]
    assert said(rules(f"[{match}]"), workload=workload) == [service + line.format("spec.http[0]")]


def test_alternatives_for_different_others() -> None:
    """Of a rule that is for none of ours, what may be a slip is said."""
    assert said(rules("[{gateways: [gw]}, {sourceNamespace: zz}]")) == [
        f"VirtualService/vs: warning: spec.http[0]: {NEVER_NAMESPACE}"
    ]
    matches = "[{gateways: [gw]}, {headers: {x: {exact: y}}}]"
    assert codes(A + llm_route(rules=f"[{{matches: {matches}, {BACKEND}}}]")) == [
        "not-for-us spec.rules[0].matches[0]"
    ]


def test_selectors() -> None:
    """Without a workload, all of them count; with one, those that select it."""
    text = A + rule(
        "a.com",
        workloadSelector="{matchLabels: {app: sleep}}",
        trafficPolicy="{connectionPool: {http: {maxRetries: 1}}}",
    )

    assert codes(text) == []
    assert codes(text, workload={"app": "sleep"}) == []
    assert said(text, workload={"app": "other"}) == [
        "DestinationRule/b: info: spec.workloadSelector: is for other workloads: it has no effect here "
        + SET_IT
    ]


def test_routes_of_gateways() -> None:
    """The proxy is none, so whatever they hold is not looked at further."""
    http = "[{route: [{destination: {host: nowhere.net}}]}]"
    hint = "(add mesh to it if sidecars are meant too)"
    line = f"info: spec.gateways: is for gateways: it has no effect here {hint}"

    assert said(A + virtual_service("a.com", http=http, gateways="[gw]")) == [
        f"VirtualService/vs: {line} [not-for-us]"
    ]
    more = "  gateways: [istio-system/gw]\n"
    assert said(A + llm_route(rules="[{backendRefs: [{providerHost: nowhere.net}]}]", more=more)) == [
        f"LLMRoute/r: {line} [not-for-us]"
    ]
    assert codes(A + virtual_service("a.com", http=http, gateways="[gw, mesh]")) == [
        "unknown-host spec.http[0].route[0].destination.host"
    ]
