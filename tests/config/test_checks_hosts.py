"""Hosts, ports and subsets that do not exist, and hosts that two resources claim."""

import pytest

from tests.config.checked import A_EJECTS, DETECTED, A, B, C, codes, findings, llm_route, said
from tests.config.written import CUSTOM, entry, provider, rule, to, virtual_service

ROUTE = "spec.http[0].route[0]"
NO_HOST = "no LLMProvider or ServiceEntry has this host"


@pytest.mark.parametrize(
    ("http", "field", "consequence"),
    [
        pytest.param(to("x.net"), f"{ROUTE}.destination", "requests to it get 503", id="destination"),
        pytest.param(
            "[{route: [{destination: {host: a.com}, fallback: {target: {host: x.net}}}]}]",
            f"{ROUTE}.fallback.target",
            "it is never used",
            id="fallback",
        ),
        pytest.param(
            f"[{{mirror: {{host: x.net}}, {to('a.com')[2:]}",
            "spec.http[0].mirror",
            "no copies are sent",
            id="mirror",
        ),
        pytest.param(
            f"[{{mirrors: [{{destination: {{host: x.net}}}}], {to('a.com')[2:]}",
            "spec.http[0].mirrors[0].destination",
            "no copies are sent",
            id="mirrors",
        ),
    ],
)
def test_unknown_hosts(http: str, field: str, consequence: str) -> None:
    """The mesh takes them and answers 503, so they are no errors; what follows is said."""
    assert said(A + A_EJECTS + virtual_service("a.com", http=http)) == [
        (
            f"VirtualService/vs: warning: {field}.host: {NO_HOST}: {consequence}"
            " (add one, or correct the name) [unknown-host]"
        )
    ]


def test_unknown_providers_of_an_llm_route() -> None:
    """With a guess at what was meant."""
    assert said(provider("deepseek.example.com") + llm_route(
        "deepseek.example.com", rules="[{backendRefs: [{providerHost: deepsek.example.com}]}]"
    )) == [
        (f"LLMRoute/r: warning: spec.rules[0].backendRefs[0].providerHost: {NO_HOST}: requests to it get 503"
        " (did you mean deepseek.example.com?) [unknown-host]")
    ]  # fmt: skip


PORTS = (
    "[{number: 80, name: a}, {number: 443, name: b, protocol: TLS}, {number: 81, name: c, protocol: MONGO}]"
)


@pytest.mark.parametrize(
    ("destination", "line"),
    [
        pytest.param(
            "{host: b.com, port: {number: 81}}",
            "port.number: the host has no such port: requests to it get 503 (it has 80, 443) [unknown-port]",
            id="port",
        ),
        pytest.param(
            "{host: b.com, subset: v3}",
            "subset: no DestinationRule that counts for the host has this subset: requests to it get 503"
            " (add it there under subsets, or correct the name) [unknown-subset]",
            id="subset",
        ),
        pytest.param(
            "{host: b.com, subset: premiun}",
            "subset: no DestinationRule that counts for the host has this subset: requests to it get 503"
            " (did you mean premium?) [unknown-subset]",
            id="a-slip",
        ),
        pytest.param("{host: b.com, port: {number: 443}, subset: premium}", None, id="both-exist"),
    ],
)
def test_unknown_ports_and_subsets(destination: str, line: str | None) -> None:
    """Of a host that exists; TCP is no port for requests."""
    text = entry("b.com", ports=PORTS) + rule("b.com", subsets="[{name: premium}]")

    found = said(text + virtual_service("b.com", http=f"[{{route: [{{destination: {destination}}}]}}]"))

    assert found[0].endswith("[not-managed]")
    assert found[1:] == ([f"VirtualService/vs: warning: {ROUTE}.destination.{line}"] if line else [])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("b.com", [], id="exact"),
        pytest.param("b.con", ["unknown-host spec.host"], id="a-slip"),
        pytest.param("'*.com'", [], id="a-wildcard-with-a-host"),
        pytest.param("'*.net'", ["unknown-host spec.host"], id="a-wildcard-without"),
        pytest.param("'*.b.com'", ["unknown-host spec.host"], id="a-wildcard-is-not-its-domain"),
    ],
)
def test_hosts_of_destination_rules(host: str, expected: list[str]) -> None:
    """One that nothing describes has no endpoints on which the rule could act."""
    assert codes(B + rule(host, trafficPolicy=DETECTED)) == expected


def test_a_host_that_only_has_rules_is_an_alias() -> None:
    """Unless it looks like a slip."""
    assert codes(A + virtual_service("models.internal", http=to("a.com"))) == []
    assert codes(A + llm_route("models.internal", rules="[{backendRefs: [{providerHost: a.com}]}]")) == []
    assert codes(A + virtual_service("a.con", http=to("a.com"))) == ["unknown-host spec.hosts[0]"]
    assert codes(A + llm_route("a.con", rules="[{backendRefs: [{providerHost: a.com}]}]")) == [
        "unknown-host spec.host"
    ]


BACKENDS = "[{backendRefs: [{providerHost: a.com}]}]"


def test_two_sets_of_rules_for_a_host() -> None:
    """Of two VirtualServices the older one wins; anything with an LLMRoute is an error."""
    younger = virtual_service("a.com", http=to("a.com"), metadata='creationTimestamp: "2026-02-01T00:00:00Z"')
    older = virtual_service(
        "a.com", http=to("a.com"), name="old", metadata='creationTimestamp: "2026-01-01T00:00:00Z"'
    )
    error = "error: spec.host: the host already has its rules in a.yaml:9"

    assert said(A + younger + older) == [
        (
            "VirtualService/vs: warning: spec.hosts[0]: has no effect: the host already belongs to a.yaml:16"
            " VirtualService/old (merge the two; the mesh does not) [shadowed-host]"
        )
    ]
    assert said(A + younger + llm_route(rules=BACKENDS)) == [
        f"LLMRoute/r: {error} VirtualService/vs (keep one of the two) [duplicate-host]"
    ]
    assert said(A + llm_route(rules=BACKENDS, name="s") + llm_route(rules=BACKENDS)) == [
        f"LLMRoute/r: {error} LLMRoute/s (keep one of the two) [duplicate-host]"
    ]
    assert codes(
        A + virtual_service("a.com", http=to("a.com"), gateways="[gw]") + llm_route(rules=BACKENDS)
    ) == ["not-for-us spec.gateways"]


def test_a_host_is_described_once() -> None:
    """By one LLMProvider, and one ServiceEntry beside it."""
    assert codes(provider() + provider(name="b")) == ["duplicate-host spec.host"]
    assert codes(A + entry("a.com", name="c")) == ["duplicate-host spec.hosts[0]"]
    assert codes(entry("a.com", ports="[{number: 80, name: http, targetPort: 443}]") + provider()) == []


SECURE = "[{number: 443, name: https, protocol: HTTPS}]"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        pytest.param({"ports": SECURE}, None, id="another-port"),
        pytest.param(
            {"ports": SECURE[:-1] + ", {number: 80, name: web}]"},
            "port 80 of the host is already described by a.yaml:2 ServiceEntry/a",
            id="a-port-twice",
        ),
        pytest.param(
            {"ports": SECURE, "resolution": "DNS"},
            "the host is already described by a.yaml:2 ServiceEntry/a, with another resolution",
            id="resolution",
        ),
        pytest.param(
            {"ports": SECURE, "metadata": "namespace: web"},
            "the host is already described by a.yaml:2 ServiceEntry/a, with another namespace",
            id="namespace",
        ),
        pytest.param(
            {"ports": SECURE, "exportTo": "[default]"},
            "the host is already described by a.yaml:2 ServiceEntry/a, with another exportTo",
            id="exportTo",
        ),
    ],
)
def test_entries_that_share_a_host(more: dict[str, str], problem: str | None) -> None:
    """They add up as in the mesh, which leaves out what does not fit."""
    found = said(A + entry("a.com", name="c", **more))

    line = f"ServiceEntry/c: error: spec.hosts[0]: {problem} (keep one of them) [duplicate-host]"
    assert found == ([line] if problem else [])


def test_an_entry_that_names_a_host_twice() -> None:
    """It shares it with nobody."""
    assert codes(entry("a.com, a.com")) == []


@pytest.mark.parametrize(
    ("host", "spec", "expected"),
    [
        pytest.param("'*.com'", {}, ["not-managed spec.hosts[0]"], id="a-wildcard-is-passed-through"),
        pytest.param(
            "'*.com'",
            {"resolution": "STATIC", "endpoints": "[{address: 10.0.0.1}]"},
            ["unsupported-value spec.hosts[0]"],
            id="its-own-endpoints-would-be-lost",
        ),
        pytest.param("b.com", {"ports": "[]"}, ["not-managed spec.ports"], id="no-ports"),
        pytest.param(
            "b.com",
            {"ports": "[{number: 27017, name: db, protocol: MONGO}]"},
            ["not-managed spec.ports"],
            id="no-http",
        ),
        pytest.param("b.com", {"ports": "[{number: 443, name: s, protocol: TLS}]"}, [], id="tls"),
    ],
)
def test_entries_that_are_not_managed(host: str, spec: dict[str, str], expected: list[str]) -> None:
    """It is said that they are not, and an error where the mesh would have done something else."""
    found = findings(entry(host, **spec))

    assert [f"{finding.code} {finding.field}" for finding in found] == expected
    assert {finding.severity.value for finding in found} <= {
        "error" if "unsupported-value" in str(found) else "info"
    }


def test_guesses_end_when_there_are_too_many_names() -> None:
    """Each looks at all names, so what could take minutes goes without."""
    known = "".join(entry(f"provider-{n:04}.example.com", name=f"p{n}") for n in range(1000))
    slips = "".join(
        virtual_service(f"m{n}.internal", http=to(f"provider-{n:04}x.example.com"), name=f"v{n}")
        for n in range(1000)
    )

    found = findings(known + slips + C)

    guessed = [finding.hint.startswith("did you mean") for finding in found]
    assert len(guessed) == 1000
    assert guessed[0]
    assert not guessed[-1]


@pytest.mark.parametrize(
    ("host", "to_host", "is_said"),
    [
        pytest.param("chat", "a.com", True, id="short"),
        pytest.param("chat", "nowhere.net", False, id="of-services-that-are-not-here"),
        pytest.param("chat.default", "a.com", False, id="longer"),
        pytest.param("'::1'", "a.com", False, id="address"),
    ],
)
def test_short_names(host: str, to_host: str, is_said: bool) -> None:  # noqa: FBT001
    """The mesh takes the longer ones for the same."""
    found = said(A + virtual_service(host, http=to(to_host)))

    line = (
        "VirtualService/vs: info: spec.hosts[0]: is managed by this name only: requests to a longer one of"
        " the service are passed through as they are (write the name that clients call) [not-managed]"
    )
    assert [one for one in found if not one.endswith("[unknown-host]")] == [line] * is_said


ABROAD = "acts here all the same (the mesh does not show it to workloads in namespace default) [unlike-mesh]"


@pytest.mark.parametrize(
    ("export", "namespace", "is_said"),
    [
        pytest.param("['*']", "web", False, id="everybody"),
        pytest.param("[web, default]", "web", False, id="us-too"),
        pytest.param("[.]", "default", False, id="its-own"),
        pytest.param("[.]", "web", True, id="another"),
        pytest.param("[web]", "default", True, id="given-away"),
    ],
)
def test_what_is_shown_to_others(export: str, namespace: str, is_said: bool) -> None:  # noqa: FBT001
    """The proxy reads it, and so it acts."""
    metadata = f"namespace: {namespace}"
    text = (
        entry("a.com", metadata=metadata, exportTo=export)
        + rule("a.com", metadata=metadata, exportTo=export)
        + virtual_service("a.com", http=to("a.com"), metadata=metadata, exportTo=export)
    )

    names = ("ServiceEntry/b", "DestinationRule/b", "VirtualService/vs")
    assert said(text) == [f"{name}: info: spec.exportTo: {ABROAD}" for name in names if is_said]


def test_what_is_shown_to_nobody() -> None:
    """Neither to us."""
    assert said(entry("a.com", exportTo="['~']")) == [f"ServiceEntry/b: info: spec.exportTo: {ABROAD}"]


def test_ports_that_are_not_managed() -> None:
    """One by one, where others are."""
    assert said(entry("b.com", ports=PORTS)) == [
        "ServiceEntry/b: info: spec.ports[2]: is not managed: MONGO is neither HTTP nor TLS [not-managed]"
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param(
            {"addresses": "[10.0.0.0/24, 10.1.1.1]"},
            [
                (
                    "ServiceEntry/b: info: spec.addresses[1]: is not managed: requests to the address"
                    " itself are passed through as they are (call the host by its name) [not-managed]"
                )
            ],
            id="address",
        ),
        pytest.param(
            {"addresses": "[10.1.1.1]", "ports": "[{number: 443, name: b, protocol: TLS}]"}, [], id="for-tls"
        ),
    ],
)
def test_addresses_of_hosts(more: dict[str, str], expected: list[str]) -> None:
    """The mesh has them as names of the host, where it speaks HTTP."""
    assert said(entry("b.com", resolution="STATIC", endpoints="[{address: 10.2.2.2}]", **more)) == expected


LABELLED = entry(
    "a.com",
    resolution="STATIC",
    endpoints="[{address: 10.0.0.1, labels: {version: v1, tier: premium}}, {address: 10.0.0.2}]",
)
CORRECT = "write these labels at endpoints of its ServiceEntry, or correct them"


@pytest.mark.parametrize(
    ("described", "labels", "hint"),
    [
        pytest.param(LABELLED, "{version: v1}", None, id="one"),
        pytest.param(LABELLED, "{}", None, id="all"),
        pytest.param(LABELLED, "{verison: v1}", "did you mean version?", id="a-slip-in-the-name"),
        pytest.param(
            LABELLED, "{version: v1, tier: premiun}", "did you mean premium?", id="a-slip-in-the-value"
        ),
        pytest.param(LABELLED, "{region: eu}", CORRECT, id="nobody's"),
        pytest.param(
            entry("a.com", resolution="DNS"), "{version: v1}", CORRECT, id="a-name-without-endpoints"
        ),
        pytest.param(provider(), "{version: v1}", CORRECT, id="a-provider"),
    ],
)
def test_subsets_without_endpoints(described: str, labels: str, hint: str | None) -> None:
    """Nothing that is sent to them could arrive."""
    subsets = f"[{{name: s, labels: {labels}}}]"
    annotated = described.replace("name: a}", f"name: a, {CUSTOM}}}")

    assert said(annotated + rule("a.com", subsets=subsets)) == (
        [
            (
                "DestinationRule/b: warning: spec.subsets[0].labels: selects no endpoint: none of the host's"
                f" has these labels ({hint}) [no-endpoints]"
            )
        ]
        if hint
        else []
    )


def test_a_subset_of_several_hosts() -> None:
    """One of them is enough; and of a host without endpoints it is said already."""
    subsets = "[{name: s, labels: {version: v1}}]"
    other = entry("b.com", name="o", resolution="STATIC", endpoints="[{address: 10.0.0.1}]")
    empty = entry("c.net", name="c", resolution="STATIC")

    assert codes(LABELLED + other + rule("'*.com'", subsets=subsets)) == []
    assert codes(empty + rule("c.net", subsets=subsets)) == ["no-endpoints spec.endpoints"]
