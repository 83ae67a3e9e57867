"""Istio's cases for a VirtualService: hosts, gateways, rules, matches and destinations."""

from typing import Any

from tests.config.istio import Case, Spec, accepted, rejected, unsupported

TO: Spec = {"destination": {"host": "stock.shop.test"}}
ELSEWHERE: Spec = {"uri": "/new", "authority": "new.shop.test"}
DELEGATE: Spec = {"name": "checkout", "namespace": "shop"}


def rule(**fields: Any) -> Spec:
    """A VirtualService of one rule with a destination."""
    return {"hosts": ["shop.test"], "http": [{"route": [TO], **fields}]}


def only(**fields: Any) -> Spec:
    """A VirtualService of one rule, as it is given."""
    return {"hosts": ["shop.test"], "http": [fields]}


def match(**conditions: Any) -> Spec:
    """A VirtualService of one rule with one match."""
    return rule(match=[conditions])


def to(*hosts: str, weights: tuple[int, ...] = ()) -> Spec:
    """A VirtualService of one rule with these destinations."""
    entries = [{"destination": {"host": host}} for host in hosts]
    return only(
        route=[entry | ({"weight": weights[index]} if weights else {}) for index, entry in enumerate(entries)]
    )


def hosts(*names: str, **fields: Any) -> Spec:
    """A VirtualService of these hosts, with a rule that sends them on."""
    return {"hosts": list(names), "http": [{"route": [TO]}]} | fields


def tls(**fields: Any) -> Spec:
    """A VirtualService that routes TLS."""
    return {"hosts": ["shop.test"], "tls": [fields]}


MATCH, ROUTE = "spec.http[0].match[0]", "spec.http[0].route[0]"
TLS_TO = [{"destination": {"host": "stock.shop.test"}}]

SERVICES: list[Case] = [
    *accepted(
        one_host_and_one_rule=hosts("shop.test"),
        an_address_as_host=hosts("10.0.0.1"),
        a_wildcard_host=hosts("*.shop.test"),
        gateway_by_its_full_name=hosts("shop.test", gateways=["gateway.shop.test"]),
        gateway_by_namespace_and_name=hosts("shop.test", gateways=["shop/gateway"]),
        every_host_of_a_gateway=hosts("*", gateways=["front"]),
        gateway_and_sidecars=hosts("shop.test", gateways=["shop/gateway", "mesh"]),
        one_match_covers_the_next=rule(
            match=[
                {"uri": {"prefix": "/api/v1/book"}},
                {"uri": {"prefix": "/api/v1/books"}, "method": {"exact": "GET"}},
            ]
        ),
        a_prefix_before_the_same_path=rule(
            match=[{"uri": {"prefix": "/"}}, {"uri": {"exact": "/"}, "method": {"exact": "GET"}}]
        ),
        shown_to_two_namespaces=hosts("shop.test", exportTo=[".", "bank"]),
    ),
    *rejected(
        "spec.hosts[1]",
        overlapping_wildcards=hosts("*.shop.test", "*.test"),
        the_same_host_twice=hosts("shop.test", "SHOP.test"),
        a_host_within_a_wildcard=hosts("*.shop.test", "a.shop.test"),
    ),
    *rejected(
        "spec.hosts[0]",
        a_sign_in_a_host=hosts("sh!op.test"),
        every_host_of_the_sidecars=hosts("*"),
        every_host_of_sidecars_and_a_gateway=hosts("*", gateways=["mesh", "front"]),
        wildcard_behind=hosts("shop.*"),
    ),
    *rejected(
        "spec.gateways[0]",
        a_sign_in_a_gateway=hosts("shop.test", gateways=["fr@nt"]),
        every_gateway_of_a_namespace=hosts("shop.test", gateways=["shop/*"]),
        a_gateway_of_every_namespace=hosts("shop.test", gateways=["*/gateway"]),
    ),
    *rejected("spec.http", no_rules_at_all={"hosts": ["shop.test"]}),
    *rejected(
        "spec.exportTo[1]",
        the_own_namespace_twice=hosts("shop.test", exportTo=[".", "shop"]),
        the_same_namespace_twice=hosts("shop.test", exportTo=["bank", "bank"]),
    ),
    *rejected(
        "spec.exportTo[0]",
        everybody_and_one_more=hosts("shop.test", exportTo=["*", "bank"]),
        nobody=hosts("shop.test", exportTo=["~"]),
        no_name_of_a_namespace=hosts("shop.test", exportTo=["b_k"]),
    ),
    *unsupported(
        "spec.hosts",
        a_delegate=hosts(),
        a_delegate_with_a_gateway=hosts(gateways=["front"]),
        a_delegate_with_a_source_namespace=hosts(
            http=[{"match": [{"sourceNamespace": "bank"}], "route": [TO]}]
        ),
    ),
    *unsupported("spec.hosts[0]", part_of_a_label=hosts("*shop.test")),
    *unsupported(
        "spec.tcp",
        tcp_without_a_destination={"hosts": ["shop.test"], "tcp": [{"match": [{"port": 999}]}]},
        a_delegate_with_tcp={"hosts": [], "tcp": [{"route": TLS_TO}]},
    ),
    *unsupported(
        "spec.tls",
        tls_without_a_destination=tls(match=[{"port": 999, "sniHosts": ["shop.test"]}]),
        an_address_as_server_name=tls(match=[{"sniHosts": ["1.1.1.1"]}], route=TLS_TO),
        a_wildcard_inside_a_server_name=tls(match=[{"sniHosts": ["a.*.test"]}], route=TLS_TO),
        between_networks={
            "hosts": ["outbound_.15010_._.stock.shop.svc.cluster.local"],
            "gateways": ["shop/gateway"],
            "tls": [{"match": [{"sniHosts": ["outbound_.15010_._.stock.shop.svc"]}], "route": TLS_TO}],
        },
    ),
    *unsupported(
        "spec.http[0].delegate",
        delegating=only(delegate=DELEGATE),
        delegating_at_a_gateway=hosts("shop.test", gateways=["front"], http=[{"delegate": DELEGATE}]),
        delegating_beside_a_destination=rule(delegate=DELEGATE),
        delegating_beside_a_redirect=only(delegate=DELEGATE, redirect=ELSEWHERE),
        delegating_by_header_prefix=only(delegate=DELEGATE, match=[{"headers": {"a": {"prefix": "b"}}}]),
        delegating_by_header=only(delegate=DELEGATE, match=[{"headers": {"a": {"exact": "b"}}}]),
        delegating_by_header_regex=only(delegate=DELEGATE, match=[{"headers": {"a": {"regex": "b"}}}]),
        delegating_by_path_regex=only(delegate=DELEGATE, match=[{"uri": {"regex": "b"}}]),
        delegating_by_path_prefix=only(delegate=DELEGATE, match=[{"uri": {"prefix": "b"}}]),
        delegating_by_path=only(delegate=DELEGATE, match=[{"uri": {"exact": "b"}}]),
        delegating_by_query_prefix=only(delegate=DELEGATE, match=[{"queryParams": {"a": {"prefix": "b"}}}]),
        delegating_by_query=only(delegate=DELEGATE, match=[{"queryParams": {"a": {"exact": "b"}}}]),
        delegating_by_query_regex=only(delegate=DELEGATE, match=[{"queryParams": {"a": {"regex": "b"}}}]),
        a_delegate_that_delegates={"hosts": [], "http": [{"delegate": DELEGATE}]},
    ),
    *rejected(
        f"{MATCH}.headers.a",
        delegating_by_an_empty_header=only(delegate=DELEGATE, match=[{"headers": {"a": None}}]),
    ),
]

MATCHES: list[Case] = [
    *accepted(
        no_match=rule(match=[]),
        a_match_without_conditions=match(),
        a_headers_name=match(headers={"header1": {"exact": "a"}}),
        a_headers_name_with_capitals=match(headers={"X-Requested-With": {"exact": "a"}}),
        a_pseudo_headers_name=match(headers={":authority": {"exact": "a"}}),
        a_headers_name_with_odd_signs=match(headers={"odd!$#_": {"exact": "a"}}),
        presence=match(headers={"a": {}}),
        no_headers_whatever_their_value=match(withoutHeaders={"a": {"regex": "*"}}),
        any_path=match(uri={"prefix": ""}),
        any_port=match(port=0),
        of_a_namespace=match(sourceNamespace="bank"),
        of_a_workload=match(sourceLabels={"app.shop.test/name": "web-1", "empty": ""}),
        of_a_gateway=match(gateways=["shop/front"]),
    ),
    *rejected(f"{MATCH}.headers.", no_headers_name=match(headers={"": {"exact": "a"}})),
    *rejected(f"{MATCH}.headers.::", only_colons=match(headers={"::": {"exact": "a"}})),
    *rejected(f'{MATCH}.headers.a"b', a_quote_in_a_name=match(headers={'a"b': {"exact": "a"}})),
    *rejected(f"{MATCH}.headers.a", no_condition_on_a_header=match(headers={"a": None})),
    *rejected(f"{MATCH}.headers.a.prefix", an_empty_prefix_of_a_header=match(headers={"a": {"prefix": ""}})),
    *rejected(
        f"{MATCH}.withoutHeaders.a.prefix",
        an_empty_prefix_without=match(withoutHeaders={"a": {"prefix": ""}}),
    ),
    *rejected(f"{MATCH}.method.regex", an_empty_regex_of_a_method=match(method={"regex": ""})),
    *rejected(f"{MATCH}.uri.regex", an_empty_regex_of_a_path=match(uri={"regex": ""})),
    *rejected(f"{MATCH}.uri.regex", a_regex_that_is_none=match(uri={"regex": "a("})),
    *rejected(f"{MATCH}.uri.regex", a_regex_of_another_language=match(uri={"regex": "(?=a)"})),
    *rejected(f"{MATCH}.uri.regex", a_long_regex=match(uri={"regex": "a" * 1025})),
    *rejected(f"{MATCH}.scheme.regex", an_empty_regex_of_a_scheme=match(scheme={"regex": ""})),
    *rejected(f"{MATCH}.authority.prefix", an_empty_prefix_of_an_authority=match(authority={"prefix": ""})),
    *rejected(
        f"{MATCH}.queryParams.q.regex", an_empty_regex_of_a_query=match(queryParams={"q": {"regex": ""}})
    ),
    *rejected(f"{MATCH}.uri", two_ways_to_compare=match(uri={"exact": "/a", "prefix": "/"})),
    *rejected(f"{MATCH}.port", a_port_that_is_none=match(port=65536)),
    *rejected(f"{MATCH}.sourceNamespace", a_namespace_that_is_none=match(sourceNamespace="b_k")),
    *rejected(f"{MATCH}.sourceLabels..", a_label_that_is_none=match(sourceLabels={".": "~"})),
    *rejected(f"{MATCH}.gateways[0]", a_gateway_that_is_none=match(gateways=["a/b/c"])),
    *rejected(MATCH, nothing_as_match=rule(match=[None])),  # Istio's code takes it, its schema does not
    *unsupported(
        f"{MATCH}.headers.@request.auth.claims.role",
        a_claim=match(headers={"@request.auth.claims.role": {"exact": "a"}}),
    ),
]

DESTINATIONS: list[Case] = [
    *accepted(
        a_host_alone=to("stock.shop.test"),
        host_port_and_subset=only(
            route=[{"destination": {"host": "stock.shop.test", "subset": "new", "port": {"number": 5000}}}]
        ),
        two_by_weight=to("east.test", "west.test", weights=(25, 75)),
        more_than_a_hundred=to("east.test", "west.test", weights=(550, 500)),
        less_than_a_hundred=to("east.test", "west.test", weights=(49, 50)),
        all_to_one_of_two=to("east.test", "west.test", weights=(100, 0)),
        one_without_weight=to("east.test", weights=(0,)),
    ),
    *rejected("spec.http[0].route", nothing=only()),
    *rejected(f"{ROUTE}.destination", an_empty_entry=only(route=[{}])),
    *rejected(f"{ROUTE}.destination.host", no_host=only(route=[{"destination": {}}])),
    *rejected(
        f"{ROUTE}.destination.port.number",
        a_port_without_number=only(route=[{"destination": {"host": "a.test", "port": {}}}]),
    ),
    *rejected(
        f"{ROUTE}.destination.subset",
        no_name_of_a_subset=only(route=[{"destination": {"host": "a.test", "subset": "a_b"}}]),
    ),
    *rejected(
        f"{ROUTE}.destination.host",
        every_host=to("*"),
        wildcard_at_the_end=to("stock.*"),
        namespace_and_name=to("shop/stock"),
        an_address=to("10.0.0.1"),
    ),
    *rejected("spec.http[0].route[1].weight", a_negative_weight=to("a.test", "b.test", weights=(5, -1))),
    *unsupported(
        f"{ROUTE}.destination.host",
        hosts_that_end_alike=to("*-stock.test"),
        hosts_that_end_the_same=to("*stock.test"),
        hosts_of_a_domain=to("*.shop.test"),
    ),
]
