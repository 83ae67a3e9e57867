"""Policies that do not stand where their writer thinks."""

import pytest

from tests.config.checked import A_EJECTS, DETECTED, EJECTS, A, B, codes, said
from tests.config.written import CUSTOM, entry, provider, rule, virtual_service

TLS = "tls: {mode: SIMPLE}"
PORT = "spec.trafficPolicy.portLevelSettings[0]"


def port_entry(blocks: str, *, port: int = 80) -> str:
    return f"portLevelSettings: [{{port: {{number: {port}}}, {blocks}}}]"


def test_detection_beside_the_entry_of_a_port_is_lost() -> None:
    """The entry replaces the policy; nothing is inherited."""
    assert said(A + rule("a.com", trafficPolicy=f"{{{EJECTS}, {port_entry(TLS)}}}")) == [
        (
            f"DestinationRule/b: warning: {PORT}: loses outlierDetection: the entry of a port"
            " replaces all that is"
            " said outside of it (repeat outlierDetection in the entry) [replaced-policy]"
        )
    ]


def test_a_second_entry_of_a_port() -> None:
    """The first one stands, and what the second leaves out is nobody's loss."""
    entries = f"[{{port: {{number: 80}}, {TLS}, {EJECTS}}}, {{port: {{number: 80}}, {TLS}}}]"

    assert said(A + rule("a.com", trafficPolicy=f"{{{EJECTS}, portLevelSettings: {entries}}}")) == [
        (
            "DestinationRule/b: warning: spec.trafficPolicy.portLevelSettings[1]: has no effect:"
            " portLevelSettings[0] is for the same port (merge the two) [no-effect]"
        )
    ]


HASHING = "spec.trafficPolicy.loadBalancer.consistentHash"


@pytest.mark.parametrize(
    ("subject", "is_said"),
    [
        pytest.param("ringHash: {minimumRingSize: 64}", True, id="none"),
        pytest.param("useSourceIp: false", True, id="turned-off"),
        pytest.param("httpHeaderName: x-user", False, id="header"),
        pytest.param("httpCookie: {name: user, ttl: 0s}", False, id="cookie"),
    ],
)
def test_hashing_needs_a_subject(subject: str, is_said: bool) -> None:  # noqa: FBT001
    """Without one, consistent is only the name."""
    policy = f"{{loadBalancer: {{consistentHash: {{{subject}}}}}}}"

    assert (
        said(A + rule("a.com", trafficPolicy=policy))
        == [
            (
                f"DestinationRule/b: warning: {HASHING}: hashes nothing: endpoints are chosen at random"
                " (add httpHeaderName, httpCookie, httpQueryParameterName or useSourceIp: true) [no-effect]"
            )
        ]
        * is_said
    )


@pytest.mark.parametrize(
    ("one", "other", "weight", "is_said"),
    [
        pytest.param("httpHeaderName: x-a", "httpHeaderName: x-b", 1, True, id="differently"),
        pytest.param("httpHeaderName: x-a", "httpHeaderName: x-a", 1, False, id="alike"),
        pytest.param("httpHeaderName: x-a", None, 1, False, id="one-of-two"),
        pytest.param("httpHeaderName: x-a", "httpHeaderName: x-b", 0, False, id="one-without-a-share"),
    ],
)
def test_destinations_that_hash_differently(one: str, other: str | None, weight: int, is_said: bool) -> None:  # noqa: FBT001
    """The mesh would mix the two."""
    rules = "".join(
        rule(f"{name}.com", name=name, trafficPolicy=f"{{loadBalancer: {{consistentHash: {{{subject}}}}}}}")
        for name, subject in (("a", one), ("b", other))
        if subject
    )
    http = (
        "[{route: [{destination: {host: a.com}, weight: 1},"
        f" {{destination: {{host: b.com}}, weight: {weight}}}]}}]"
    )

    assert (
        said(A + B + rules + virtual_service("a.com", http=http))
        == [
            (
                "VirtualService/vs: info: spec.http[0].route: each destination hashes what its own"
                " DestinationRule says (the mesh hashes for each what is said for any of them) [unlike-mesh]"
            )
        ]
        * is_said
    )


@pytest.mark.parametrize(
    ("policy", "subset", "expected"),
    [
        pytest.param(f"{{{EJECTS}, {port_entry(f'{TLS}, {EJECTS}')}}}", None, [], id="repeated"),
        pytest.param(
            f"{{{EJECTS}, {TLS}, {port_entry('loadBalancer: {simple: RANDOM}')}}}",
            None,
            [f"replaced-policy {PORT}"],
            id="several-blocks-in-one-finding",
        ),
        pytest.param(
            f"{{{EJECTS}, {port_entry(TLS, port=81)}}}",
            None,
            [f"unknown-port {PORT}.port.number"],
            id="a-port-that-does-not-exist",
        ),
        pytest.param(
            DETECTED,
            f"{{{port_entry(TLS)}}}",
            ["replaced-policy spec.subsets[0].trafficPolicy.portLevelSettings[0]"],
            id="a-port-of-a-subset-loses-the-policy-of-the-host",
        ),
        pytest.param(
            f"{{{TLS}}}",
            f"{{{EJECTS}, {port_entry(TLS)}}}",
            ["replaced-policy spec.subsets[0].trafficPolicy.portLevelSettings[0]"],
            id="and-that-of-its-subset",
        ),
        pytest.param(DETECTED, f"{{{TLS}}}", [], id="a-subset-inherits-block-by-block"),
    ],
)
def test_what_the_entry_of_a_port_replaces(policy: str, subset: str | None, expected: list[str]) -> None:
    """All four blocks of the rule, and of the subset."""
    subsets = {"subsets": f"[{{name: s, trafficPolicy: {subset}}}]"} if subset else {}

    assert codes(A + rule("a.com", trafficPolicy=policy, **subsets)) == expected


GENERATED = (
    "the rule generated for LLMProvider/a stands (annotate that LLMProvider with"
    ' asm.alibabacloud.com/custom-destinationrule: "true") [generated-rule]'
)


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        pytest.param("a.com", "has no effect", id="its-host"),
        pytest.param("'*.com'", "has no effect on the host of a provider", id="a-wildcard"),
        pytest.param("'*'", "has no effect on the host of a provider", id="everything"),
    ],
)
def test_the_generated_rule_stands(host: str, problem: str) -> None:
    """Unless the provider says otherwise, and then the user's counts."""
    text = rule(host, trafficPolicy=f"{{{EJECTS}, {TLS}}}")

    assert said(provider() + text) == [f"DestinationRule/b: warning: spec.host: {problem}: {GENERATED}"]
    assert said(provider(metadata=CUSTOM) + text) == []


@pytest.mark.parametrize(("value", "count"), [("true", 0), ("false", 0), ("True", 1), ("yes", 1), ("", 1)])
def test_only_true_is_true(value: str, count: int) -> None:
    """As the annotation is compared."""
    found = codes(provider(metadata=CUSTOM.replace('"true"', f'"{value}"')))

    field = "metadata.annotations.asm.alibabacloud.com/custom-destinationrule"
    assert found == [f"no-effect {field}"] * count


def test_the_first_policy_and_the_first_subset_of_a_name() -> None:
    """Several rules for a host are merged so; the rest has no effect."""
    first = rule("a.com", name="first", trafficPolicy=DETECTED, subsets="[{name: s}]")
    second = rule("a.com", name="second", trafficPolicy=DETECTED, subsets="[{name: s}, {name: t}]")

    assert said(A + first + second) == [
        (
            "DestinationRule/second: warning: spec.host: has no effect: the host already has a.yaml:9"
            " DestinationRule/first (merge the two) [shadowed-rule]"
        ),
        (
            "DestinationRule/second: warning: spec.subsets[0].name: has no effect: the host already"
            " has a subset of"
            " this name, in a.yaml:9 DestinationRule/first (rename or remove it) [shadowed-rule]"
        ),
    ]


def test_rules_that_do_not_share_anything_are_merged() -> None:
    """One brings the policy, the other the subsets."""
    assert codes(A + A_EJECTS + rule("a.com", name="c", subsets="[{name: s}]")) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(DETECTED, ["no-tls spec.trafficPolicy"], id="none"),
        pytest.param(f"{{{EJECTS}, tls: {{mode: DISABLE}}}}", [], id="none-on-purpose"),
        pytest.param(f"{{{EJECTS}, {TLS}}}", [], id="for-all-ports"),
        pytest.param(f"{{{port_entry(EJECTS)}}}", [f"no-tls {PORT}"], id="none-for-the-port"),
        pytest.param(f"{{{port_entry(f'{EJECTS}, {TLS}')}}}", [], id="for-the-port"),
    ],
)
def test_keys_in_clear_text(policy: str, expected: list[str]) -> None:
    """A rule of one's own takes the place of the generated one, and of its TLS."""
    assert codes(provider(metadata=CUSTOM) + rule("a.com", trafficPolicy=policy)) == expected


def test_keys_in_clear_text_without_any_policy_or_by_a_wildcard() -> None:
    """Subsets alone leave the generated policy as it is, with its TLS."""
    assert codes(provider(metadata=CUSTOM) + rule("a.com", subsets="[{name: s}]")) == []
    assert codes(provider(metadata=CUSTOM) + rule("'*.com'", trafficPolicy=DETECTED)) == [
        "no-tls spec.trafficPolicy"
    ]


def test_the_largest_tables() -> None:
    """Of consistent hashing; larger ones act as these, which is said of each."""

    def hashed(how: str) -> list[str]:
        policy = f"{{loadBalancer: {{consistentHash: {{httpHeaderName: x, {how}}}}}}}"
        return said(entry("a.com") + rule("a.com", trafficPolicy=policy))

    where = "DestinationRule/b: warning: spec.trafficPolicy.loadBalancer.consistentHash"
    what = (
        "acts as 65537: some keys lead to other endpoints than in the mesh (write 65537 or less)"
        " [unsupported-value]"
    )
    assert hashed("ringHash: {minimumRingSize: 65537}") == hashed("maglev: {tableSize: 65537}") == []
    assert hashed("ringHash: {minimumRingSize: 65538}") == [f"{where}.ringHash.minimumRingSize: {what}"]
    assert hashed("maglev: {tableSize: 65539}") == [f"{where}.maglev.tableSize: {what}"]
    assert f"{where}.minimumRingSize: {what}" in hashed("minimumRingSize: 65538")


def test_a_port_that_speaks_tls_needs_no_tls() -> None:
    """What a client encrypted is encrypted again."""
    ports = "[{number: 443, name: https, protocol: HTTPS}]"
    text = entry("a.com", ports=ports) + provider(metadata=CUSTOM) + rule("a.com", trafficPolicy=DETECTED)

    assert codes(text) == []


@pytest.mark.parametrize(
    ("port", "endpoints", "is_said"),
    [
        pytest.param("", "[]", True, id="no-target-port"),
        pytest.param(", targetPort: 80", "[]", True, id="target-port-80"),
        pytest.param(", targetPort: 443", "[]", False, id="target-port-443"),
        pytest.param("", "[{address: 10.0.0.1, ports: {http: 443}}]", False, id="endpoint"),
        pytest.param("", "[{address: 10.0.0.1}]", True, id="endpoint-without-a-port"),
    ],
)
def test_a_provider_is_called_with_tls(port: str, endpoints: str, is_said: bool) -> None:  # noqa: FBT001
    """So port 80 of a ServiceEntry for its host has to lead to one that speaks TLS."""
    ports = f"[{{number: 80, name: http{port}}}]"
    described = entry("a.com", ports=ports, resolution="DNS", endpoints=endpoints)
    line = (
        "ServiceEntry/b: warning: spec.ports[0]: leads to port 80, and requests to LLMProvider/a are sent"
        " with TLS (add targetPort: 443, or whichever port speaks TLS there) [plain-port]"
    )
    assert said(described + provider("a.com")) == ([line] if is_said else [])


def test_a_provider_without_tls_may_have_port_80() -> None:
    """Its own rule says so; and what is no provider is its writer's own business."""
    plain = rule("a.com", trafficPolicy="{tls: {mode: DISABLE}}")

    assert codes(entry("a.com") + provider("a.com", metadata=CUSTOM) + plain) == []
    assert codes(entry("b.com") + rule("b.com", trafficPolicy="{tls: {mode: SIMPLE}}")) == []
