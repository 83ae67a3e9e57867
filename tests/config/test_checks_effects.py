"""What is written and never happens, and what not every mesh does."""

import pytest

from tests.config.checked import A, B, codes, llm_route, said
from tests.config.written import provider, rule, virtual_service

ROUTE = "route: [{destination: {host: a.com}}]"
HERE = "VirtualService/vs"


def doing(action: str) -> str:
    return A + B + virtual_service("a.com", http=f"[{{{action}, {ROUTE}}}]")


@pytest.mark.parametrize(
    ("timeout", "per_try", "is_said"),
    [("1s", "2s", True), ("2s", "2s", False), ("1500ms", "1s", False), (None, "1s", False)],
)
def test_a_timeout_that_is_shorter_than_a_try(timeout: str | None, per_try: str, is_said: bool) -> None:  # noqa: FBT001
    """It spans all tries, so it comes first."""
    total = f"timeout: {timeout}, " if timeout else ""

    found = said(doing(f"{total}retries: {{attempts: 2, perTryTimeout: {per_try}}}"))

    assert (
        found
        == [
            (
                f"{HERE}: warning: spec.http[0].retries.perTryTimeout: has no effect: timeout, which"
                " spans all tries, is"
                " shorter and ends the request (write a shorter perTryTimeout, or a longer timeout)"
                " [no-effect]"
            )
        ]
        * is_said
    )


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(
            "delay: {fixedDelay: 1s}",
            "warning: spec.http[0].fault.delay: never happens: it has no percentage"
            " (add percentage: {value: 100})",
            id="a-delay-without-a-percentage",
        ),
        pytest.param(
            "abort: {httpStatus: 503, percentage: {}}",
            "warning: spec.http[0].fault.abort: never happens: it has no percentage"
            " (add percentage: {value: 100})",
            id="an-abort-with-an-empty-one",
        ),
        pytest.param(
            "abort: {httpStatus: 503, percentage: {value: 0}}",
            "info: spec.http[0].fault.abort.percentage: never happens: it is for 0%",
            id="turned-off",
        ),
        pytest.param("abort: {httpStatus: 503, percentage: {value: 0.1}}", None, id="for-some"),
        pytest.param("delay: {fixedDelay: 1s, percentage: {value: 50}}", None, id="a-delay-for-half"),
    ],
)
def test_faults_that_never_happen(fault: str, expected: str | None) -> None:
    """For nobody, unless it is said for how many."""
    assert said(doing(f"fault: {{{fault}}}")) == ([f"{HERE}: {expected} [no-effect]"] if expected else [])


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        pytest.param("mirror: {host: b.com}", [], id="all"),
        pytest.param(
            "mirror: {host: b.com}, mirrorPercentage: {value: 0}",
            ["no-effect spec.http[0].mirror"],
            id="none",
        ),
        pytest.param(
            "mirrors: [{destination: {host: b.com}}, {destination: {host: b.com}, percentage: {value: 0}}]",
            ["no-effect spec.http[0].mirrors[1]"],
            id="one-of-several",
        ),
    ],
)
def test_mirrors_without_copies(mirror: str, expected: list[str]) -> None:
    """0 percent is none."""
    assert codes(doing(mirror)) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(
            "mirrorPercentage: {value: 5}",
            "warning: spec.http[0].mirrorPercentage: has no effect: it is for mirror, and there is none"
            " (add mirror, or remove it)",
            id="a-percentage-without-mirror",
        ),
        pytest.param(
            "mirrorPercentage: {value: 5}, mirrors: [{destination: {host: b.com}}]",
            "warning: spec.http[0].mirrorPercentage: has no effect: it is for mirror, and there is none"
            " (write percentage in each of mirrors)",
            id="a-percentage-beside-mirrors",
        ),
        pytest.param(
            "corsPolicy: {allowMethods: [GET]}",
            "warning: spec.http[0].corsPolicy: has no effect: it allows no origin (add allowOrigins)",
            id="nobody's-origin",
        ),
        pytest.param(
            "corsPolicy: {unmatchedPreflights: IGNORE}", None, id="preflights-that-are-answered-by-the-proxy"
        ),
        pytest.param("corsPolicy: {allowOrigins: [{exact: 'https://a.com'}]}", None, id="an-origin"),
        pytest.param(
            "retries: {attempts: 2, retryOn: http3-post-connect-failure}",
            "warning: spec.http[0].retries.retryOn: nothing is ever tried again: this condition alone is for"
            " HTTP/3, which is not spoken here (add another one, such as 5xx)",
            id="retries-of-http-3",
        ),
        pytest.param(
            "retries: {attempts: 2, retryOn: 'http3-post-connect-failure,5xx'}", None, id="and-of-others"
        ),
        pytest.param(
            "retries: {attempts: 2, retryRemoteLocalities: true}",
            "info: spec.http[0].retries.retryRemoteLocalities: has no effect here"
            " (endpoints have no locality)",
            id="localities",
        ),
        pytest.param("retries: {attempts: 2, retryRemoteLocalities: false}", None, id="no-localities"),
    ],
)
def test_actions_without_what_they_need(action: str, expected: str | None) -> None:
    """A mirror, an origin, another protocol, a locality."""
    assert said(doing(action)) == ([f"{HERE}: {expected} [no-effect]"] if expected else [])


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        pytest.param("timeout: 1s", ["timeout"], id="timeout"),
        pytest.param("retries: {attempts: 1}", ["retries"], id="retries"),
        pytest.param("mirror: {host: b.com}, mirrorPercentage: {value: 5}", ["mirror"], id="mirror"),
        pytest.param("mirrors: [{destination: {host: b.com}}]", ["mirrors"], id="mirrors"),
        pytest.param("corsPolicy: {}", ["corsPolicy"], id="corsPolicy"),
        pytest.param(
            "headers: {request: {set: {a: b}}, response: {set: {a: b}}}", ["headers.request"], id="headers"
        ),
        pytest.param("match: [{method: {exact: GET}}], name: here", [], id="what-all-rules-have"),
    ],
)
@pytest.mark.parametrize("answer", ["redirect: {uri: /b}", "directResponse: {status: 404}"])
def test_answers_need_no_target(answer: str, more: str, fields: list[str]) -> None:
    """What is for requests that are sent on does nothing where none is."""
    text = A + B + virtual_service("a.com", http=f"[{{{answer}, {more}}}]")
    reason = f"has no effect: {answer.partition(':')[0]} answers, and nothing is sent on (remove it)"

    assert said(text) == [f"{HERE}: warning: spec.http[0].{field}: {reason} [no-effect]" for field in fields]


IGNORED = "has no effect: the mesh ignores a header of this name"


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            "headers: {method: {exact: POST}, x-a: {exact: b}}",
            [f"headers.method: {IGNORED} (write method beside headers)"],
            id="a-field-among-headers",
        ),
        pytest.param(
            "headers: {uri: {exact: /}, Method: {exact: b}, ':path': {exact: /}}",
            [f"headers.uri: {IGNORED} (write uri beside headers)"],
            id="headers-of-nearly-such-a-name",
        ),
        pytest.param(
            "withoutHeaders: {authority: {exact: b}}",
            [f"withoutHeaders.authority: {IGNORED} (remove it)"],
            id="withoutHeaders",
        ),
        pytest.param(
            "uri: {regex: /a.*}, ignoreUriCase: true",
            ["ignoreUriCase: has no effect: it is for exact and prefix of uri (begin the regex with (?i))"],
            id="case-of-a-regex",
        ),
        pytest.param(
            "method: {exact: GET}, ignoreUriCase: true",
            ["ignoreUriCase: has no effect: it is for exact and prefix of uri (add uri, or remove it)"],
            id="case-of-nothing",
        ),
        pytest.param("uri: {prefix: /a}, ignoreUriCase: true", [], id="case-of-a-prefix"),
        pytest.param("uri: {regex: /a.*}, ignoreUriCase: false", [], id="case-as-written"),
    ],
)
def test_conditions_that_are_not_asked(match: str, expected: list[str]) -> None:
    """The rule takes requests that its writer meant to leave to others."""
    assert said(doing(f"match: [{{{match}}}]")) == [
        f"{HERE}: warning: spec.http[0].match[0].{line} [no-effect]" for line in expected
    ]


def test_conditions_of_an_llm_route_that_are_not_asked() -> None:
    """It has no fields for them."""
    rules = "[{matches: [{headers: {method: {exact: POST}}}], backendRefs: [{providerHost: a.com}]}]"

    assert said(provider() + llm_route(rules=rules)) == [
        f"LLMRoute/r: warning: spec.rules[0].matches[0].headers.method: {IGNORED} (remove it) [no-effect]"
    ]


@pytest.mark.parametrize(
    ("operations", "fields"),
    [
        pytest.param("request: {set: {Content-Length: '1'}}", ["request.set.Content-Length"], id="set"),
        pytest.param(
            "response: {add: {transfer-encoding: chunked}}", ["response.add.transfer-encoding"], id="add"
        ),
        pytest.param("response: {remove: [server, connection]}", ["response.remove[1]"], id="remove"),
        pytest.param(
            "request: {set: {te: trailers, x-a: b}, remove: [upgrade]}",
            ["request.remove[0]", "request.set.te"],
            id="several",
        ),
        pytest.param("request: {set: {host: b.com}, remove: [x-a]}", [], id="others"),
    ],
)
def test_framing_is_not_for_rules(operations: str, fields: list[str]) -> None:
    """Neither of a rule nor of a destination."""
    of_rule = doing(f"headers: {{{operations}}}")
    route = f"[{{route: [{{destination: {{host: a.com}}, headers: {{{operations}}}}}]}}]"
    of_destination = A + virtual_service("a.com", http=route)

    assert codes(of_rule) == [f"no-effect spec.http[0].headers.{field}" for field in fields]
    assert codes(of_destination) == [f"no-effect spec.http[0].route[0].headers.{field}" for field in fields]


NEWER = "(a mesh that is older ignores or refuses it; ASM's LLM fallback needs 1.22 only) [mesh-version]"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(
            "retries: {attempts: 1, backoff: 1s}",
            f"info: spec.http[0].retries.backoff: is known to Istio since 1.26 {NEWER}",
            id="backoff",
        ),
        pytest.param(
            "retries: {attempts: 1, retryIgnorePreviousHosts: false}",
            f"info: spec.http[0].retries.retryIgnorePreviousHosts: is known to Istio since 1.26 {NEWER}",
            id="retryIgnorePreviousHosts",
        ),
        pytest.param(
            "mirror: {host: b.com}, mirrorPercent: 5",
            "info: spec.http[0].mirrorPercent: is deprecated (write mirrorPercentage: {value: ...})"
            " [deprecated]",
            id="mirrorPercent",
        ),
        pytest.param(
            "corsPolicy: {allowOrigin: [https://a.com]}",
            "info: spec.http[0].corsPolicy.allowOrigin: is deprecated (write allowOrigins, with"
            " exact) [deprecated]",
            id="allowOrigin",
        ),
        pytest.param(
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 1}, percent: 50}}",
            "warning: spec.http[0].fault.delay.percent: has no effect (write percentage: {value:"
            " ...}) [no-effect]",
            id="percent",
        ),
        pytest.param("retries: {attempts: 1, perTryTimeout: 1s}", None, id="as-ever"),
    ],
)
def test_versions_of_virtual_services(action: str, expected: str | None) -> None:
    """Fields that came later, and those that something else has replaced."""
    assert said(doing(action)) == ([f"{HERE}: {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(
            "loadBalancer: {simple: LEAST_CONN}",
            "info: spec.trafficPolicy.loadBalancer.simple: LEAST_CONN is deprecated (write LEAST_REQUEST)"
            " [deprecated]",
            id="LEAST_CONN",
        ),
        pytest.param("loadBalancer: {simple: LEAST_REQUEST}", None, id="LEAST_REQUEST"),
        pytest.param(
            "loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}",
            f"info: spec.trafficPolicy.loadBalancer.warmup: is known to Istio since 1.24 {NEWER}",
            id="warmup",
        ),
        pytest.param(
            "loadBalancer: {simple: RANDOM, warmupDurationSecs: 1s}",
            "info: spec.trafficPolicy.loadBalancer.warmupDurationSecs: is deprecated"
            " (from Istio 1.24 on, write warmup: {duration: ...}) [deprecated]",
            id="warmupDurationSecs",
        ),
        pytest.param(
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 64}}",
            "info: spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: is deprecated"
            " (write ringHash: {minimumRingSize: ...}) [deprecated]",
            id="minimumRingSize",
        ),
        pytest.param(
            "outlierDetection: {maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [429]}",
            "info: spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes: is known to"
            " Istio after"
            f" 1.30 {NEWER}",
            id="outlierDetectionHttpErrorCodes",
        ),
        pytest.param(
            "outlierDetection: {maxEjectionPercent: 100, consecutiveErrors: 1}",
            "warning: spec.trafficPolicy.outlierDetection.consecutiveErrors: has no effect"
            " (write consecutive5xxErrors) [no-effect]",
            id="consecutiveErrors",
        ),
        pytest.param(
            "connectionPool: {http: {maxConcurrentStreams: 5}}",
            "info: spec.trafficPolicy.connectionPool.http.maxConcurrentStreams: has no effect here"
            " (it is for HTTP/2) [no-effect]",
            id="maxConcurrentStreams",
        ),
    ],
)
def test_versions_of_destination_rules(policy: str, expected: str | None) -> None:
    """Wherever in a policy they stand, those of ports and subsets included."""
    at_rule = A + rule("a.com", trafficPolicy=f"{{{policy}}}")
    at_port = A + rule(
        "a.com",
        subsets=f"[{{name: s, trafficPolicy: {{portLevelSettings: [{{port: {{number: 80}}, {policy}}}]}}}}]",
    )

    assert said(at_rule) == ([f"DestinationRule/b: {expected}"] if expected else [])
    assert len(said(at_port)) == (expected is not None)


RULES = (
    "[{name: vip-route, matches: [{headers: {user: {exact: vip}}}], backendRefs: [{providerHost: a.com}]}]"
)


def settings(name: str, special: str, *, default: str = "model: m") -> str:
    configs = (
        f"{{defaultConfig: {{openAIConfig: {{{default}}}}}, routeSpecificConfigs: {{{name}: {special}}}}}"
    )
    return provider(configs=configs)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("vip-route", None, id="a-rule's"),
        pytest.param("vip-rout", "did you mean vip-route?", id="a-slip"),
        pytest.param("premium", "name the rule like this key, or remove it", id="nobody's"),
    ],
)
def test_route_specific_configs_are_for_rules(name: str, hint: str | None) -> None:
    """Of LLMRoutes, and of those that lead to the provider."""
    text = settings(name, "{openAIConfig: {model: n}}") + llm_route(rules=RULES)

    assert said(text) == (
        [
            (
                f"LLMProvider/a: warning: spec.configs.routeSpecificConfigs.{name}: has no effect: no"
                " rule of this name,"
                f" in any LLMRoute, leads to this provider ({hint}) [unknown-rule]"
            )
        ]
        if hint
        else []
    )


def test_a_rule_that_leads_elsewhere() -> None:
    """Its name is of no use to this provider."""
    rules = RULES.replace("providerHost: a.com", "providerHost: b.com")
    text = settings("vip-route", "{openAIConfig: {model: n}}") + B + llm_route(rules=rules)

    assert codes(text) == ["unknown-rule spec.configs.routeSpecificConfigs.vip-route"]


@pytest.mark.parametrize(
    ("default", "special", "count"),
    [("apiKey: k", "model: n", 1), ("apiKey: k", "apiKey: l", 0), ("model: m", "model: n", 0)],
)
def test_a_route_specific_config_brings_its_own_key(default: str, special: str, count: int) -> None:
    """It replaces the default one whole."""
    text = settings("vip-route", f"{{openAIConfig: {{{special}}}}}", default=default) + llm_route(rules=RULES)

    assert (
        said(text)
        == [
            (
                "LLMProvider/a: warning: spec.configs.routeSpecificConfigs.vip-route: has no apiKey:"
                " it replaces"
                " defaultConfig whole, and the key there is not sent (repeat the apiKey here) [no-key]"
            )
        ]
        * count
    )


KEYED = provider(configs="{defaultConfig: {openAIConfig: {apiKey: k, model: m}}}", path="/x/chat/completions")
KEYLESS = provider("b.com", name="b")
SET = "headers: {request: {set: {Authorization: Bearer x}, add: {authorization: y, x-a: b}}}"
TO_A, TO_B = ("{destination: {host: " + host + "}, weight: 1}" for host in ("a.com", "b.com"))


@pytest.mark.parametrize(
    ("rule_", "places"),
    [
        pytest.param(f"{{{SET}, route: [{TO_A}]}}", ["headers"], id="of-the-rule"),
        pytest.param(f"{{route: [{TO_A[:-1]}, {SET}}}]}}", ["route[0].headers"], id="of-the-destination"),
        pytest.param(
            f"{{{SET}, route: [{TO_A}, {TO_B}]}}", [], id="of-a-rule-that-leads-to-a-provider-without-a-key"
        ),
        pytest.param(f"{{route: [{TO_A}, {TO_B[:-1]}, {SET}}}]}}", [], id="of-a-destination-without-a-key"),
        pytest.param(
            f"{{{SET}, route: [{TO_A[:-1]}, fallback: {{target: {{host: b.com}}}}}}]}}",
            [],
            id="of-a-rule-whose-fallback-has-no-key",
        ),
        pytest.param(
            f"{{headers: {{request: {{remove: [authorization]}}}}, route: [{TO_A}]}}",
            [],
            id="the-client's-own",
        ),
    ],
)
def test_the_key_of_a_provider_comes_last(rule_: str, places: list[str]) -> None:
    """What rules write into the same header is replaced by it."""
    found = said(KEYED + KEYLESS + virtual_service("a.com", http=f"[{rule_}]"))

    assert [line for line in found if not line.endswith("[no-detector]")] == [
        f"{HERE}: warning: spec.http[0].{place}.request.{name}: has no effect: the apiKey of LLMProvider/a is"
        " sent instead (remove it) [no-effect]"
        for place in places
        for name in ("add.authorization", "set.Authorization")
    ]


@pytest.mark.parametrize(
    ("match", "uri", "is_said"),
    [
        pytest.param("exact: /v1/chat/completions", "/v2/chat", True, id="exact"),
        pytest.param("prefix: /v1/chat/completions", "/v2/chat", True, id="prefix"),
        pytest.param("exact: /v1/chat/completions", "/v2/chat/completions", False, id="a-path-of-chats"),
        pytest.param("exact: /v1/chat/completions", "/", False, id="the-bare-host"),
        pytest.param("exact: /v1/embeddings", "/v2/embeddings", False, id="not-for-chats"),
        pytest.param("prefix: /v1", "/v2", False, id="the-rest-of-a-path"),
        pytest.param("regex: /v1/.*", "/v2", False, id="nobody-knows"),
    ],
)
def test_chats_that_are_rewritten_into_something_else(match: str, uri: str, is_said: bool) -> None:  # noqa: FBT001
    """They get the provider's key, and not its model."""
    http = f"[{{match: [{{uri: {{{match}}}}}], rewrite: {{uri: {uri}}}, {ROUTE}}}]"
    line = (
        f"{HERE}: warning: spec.http[0].rewrite.uri: is no path for chats: the model of LLMProvider/a is"
        " not set in them"
    )
    remove = "(remove it: the path of the provider stands in requests without it) [no-effect]"
    write = "(write a path that ends in /chat/completions) [no-effect]"
    without_path = KEYED.replace("  path: /x/chat/completions\n", "")

    assert said(KEYED + virtual_service("a.com", http=http)) == [f"{line} {remove}"] * is_said
    assert said(without_path + virtual_service("a.com", http=http)) == [f"{line} {write}"] * is_said


def test_provider_for_other_workloads() -> None:
    """Its settings are not for requests of this one."""
    text = provider(workloadSelector="{labels: {app: sleep}}")

    assert codes(text) == []
    assert codes(text, workload={"app": "sleep"}) == []
    assert codes(text, workload={"app": "other"}) == ["not-for-us spec.workloadSelector"]
