"""A ServiceEntry is judged as Istio judges it, by its own published cases."""

from typing import Any

import pytest

from tests.config.istio import Case, Spec, accepted, findings, judge, parameters, rejected, unsupported

ONE, TWO = (
    {"number": 80, "protocol": "http", "name": "one"},
    {"number": 8080, "protocol": "http", "name": "two"},
)
SECURE = {"number": 443, "protocol": "https", "name": "secure"}
GRPC = {"number": 6553, "protocol": "grpc", "name": "grpc"}
EAST: Spec = {"address": "east.shop.test", "ports": {"one": 8080}}
WEST: Spec = {"address": "west.shop.test", "ports": {"two": 9080}}
ADDRESSES = [{"address": "1.1.1.1", "ports": {"one": 8080}}, {"address": "2.2.2.2", "ports": {"two": 9080}}]
SELECTOR = {"labels": {"app": "web"}}


def entry(resolution: str = "NONE", *hosts: str, **fields: Any) -> Spec:
    """An entry with two ports."""
    return {"hosts": list(hosts or ("shop.test",)), "ports": [ONE, TWO], "resolution": resolution} | fields


def endpoint(**fields: Any) -> Spec:
    """An entry with this endpoint only."""
    return entry("STATIC", ports=[{**ONE, "name": "web"}], endpoints=[fields])


def socket(address: str, *ports: Spec) -> Spec:
    """An entry with a Unix socket behind it."""
    return entry("STATIC", ports=list(ports or (GRPC,)), endpoints=[{"address": address}])


HOSTS: list[Case] = [
    *accepted(
        names_behind_a_wildcard=entry("DNS", "*.shop.test", endpoints=[EAST, WEST]),
        one_name_for_all=entry("DNS_ROUND_ROBIN", "*.shop.test", endpoints=[EAST]),
        labels_of_the_mesh=entry(
            "DNS",
            "*.shop.test",
            endpoints=[{**EAST, "labels": {"security.istio.io/tlsMode": "istio"}}, WEST],
        ),
        an_address_and_tls=entry("DNS", addresses=["10.10.10.10"], ports=[ONE, TWO, SECURE]),
        two_hosts_and_tls=entry(
            "DNS", "a.test", "b.test", addresses=["10.10.10.10"], ports=[ONE, TWO, SECURE]
        ),
        an_address_before_names=entry(
            "DNS", "*.shop.test", addresses=["10.10.10.10"], endpoints=[EAST, WEST]
        ),
        an_address_among_names=entry("DNS", endpoints=[{**EAST, "address": "1.1.1.1"}, WEST]),
        a_short_host=entry("DNS", "shop", "bank.test", endpoints=[EAST]),
        its_own_name=entry("DNS"),
        its_own_name_for_all=entry("DNS_ROUND_ROBIN", addresses=[], endpoints=[]),
        any_address=entry(),
        a_block_of_addresses=entry(addresses=["172.1.2.16/16"]),
        a_block_and_addresses=entry("STATIC", addresses=["172.1.2.16/16"], endpoints=ADDRESSES),
        addresses=entry("STATIC", addresses=["172.1.2.16"], endpoints=ADDRESSES),
        no_addresses_yet=entry("STATIC", addresses=["172.1.2.16"]),
        a_block_only={"hosts": ["shop.test"], "addresses": ["1.1.1.1/32"]},
        a_name_only={"hosts": ["shop.test"], "endpoints": [{"address": "a.shop.test"}], "resolution": "DNS"},
        shown_to_nobody=entry(exportTo=["~"]),
        all_of_it=entry(
            "DNS",
            addresses=["1.2.3.4", "001:db8::"],
            exportTo=["bank", "."],
            location="MESH_EXTERNAL",
            ports=[{"name": "web", "protocol": "HTTP", "number": 1234, "targetPort": 2345}],
            subjectAltNames=["a"],
        ),
    ),
    *rejected("spec.hosts", nothing={}),
    *rejected("spec.hosts", no_hosts=entry("DNS", hosts=[], endpoints=[EAST])),
    *rejected("spec.hosts[0]", a_hyphen=entry("DNS", "-", endpoints=[EAST])),
    *rejected("spec.hosts[0]", every_host=entry("NONE", "*")),
    *rejected("spec.hosts[1]", every_host_as_well=entry("DNS", "shop.test", "*", endpoints=[EAST])),
    *rejected("spec.hosts[0]", a_wildcard_behind=entry("NONE", "shop*")),
    *rejected("spec.hosts[0]", a_wildcard_without_names=entry("DNS", "*.shop.test")),
    *rejected("spec.location", no_place=entry(location="NONSENSE")),
    *rejected(
        "spec.endpoints[0].locality",
        a_place_that_is_no_text=entry("STATIC", endpoints=[{"address": "1.1.1.1", "locality": 5}]),
    ),
    *rejected(
        "spec.endpoints[0].serviceAccount",
        accounts=entry("STATIC", endpoints=[{"address": "1.1.1.1", "serviceAccount": ["x"]}]),
    ),
    *rejected("spec.addresses[0]", a_block_that_is_none=entry(addresses=["1.2.3.4/99"])),
    *rejected("spec.addresses[0]", a_block_and_names=entry("DNS", addresses=["1.2.3.4/16"])),
    *rejected("spec.exportTo[0]", nobody_and_somebody=entry(exportTo=["~", "bank"])),
    *rejected(
        "spec.ports[0].protocol",
        two_hosts_that_look_alike=entry("DNS", "a.test", "b.test", ports=[{**ONE, "protocol": "TCP"}]),
    ),
    *rejected("spec.resolution", a_resolution_that_is_none=entry("dns")),
    *unsupported("spec.hosts[0]", a_part_of_a_label={"hosts": ["*x"]}),
    *unsupported("spec.hosts[1]", parts_of_labels=entry("NONE", "*.a.test", "*b.test", ports=[SECURE])),
    *unsupported(
        "spec.workloadSelector",
        a_selector=entry(workloadSelector=SELECTOR),
        a_selector_and_names=entry("DNS", workloadSelector=SELECTOR),
        a_selector_and_one_port=entry(ports=[{**ONE, "targetPort": 1234}], workloadSelector=SELECTOR),
        a_selector_of_nothing=entry(workloadSelector={}),
        a_selector_of_nothing_alone={"hosts": ["shop.test"], "workloadSelector": {}},
        a_selector_and_endpoints=entry(workloadSelector=SELECTOR, endpoints=[{"address": "1.1.1.1"}]),
        a_selector_of_nothing_and_endpoints=entry(workloadSelector={}, endpoints=[{"address": "1.2.3.4"}]),
        a_selector_without_key=entry(workloadSelector={"labels": {"": "a"}}),
        a_selector_of_anything=entry(workloadSelector={"labels": {"a": "*"}}),
    ),
    *unsupported("spec.resolution", names_as_they_come=entry("DYNAMIC_DNS", "*.shop.test")),
]

ENDPOINTS: list[Case] = [
    *accepted(
        an_address=endpoint(address="172.16.1.1", ports={"web": 7777}),
        a_name=entry("DNS", endpoints=[{"address": "a.shop.test", "ports": {"one": 7777}}]),
        a_port_of_its_own=entry(
            "STATIC",
            ports=[{**ONE, "targetPort": 81}],
            endpoints=[{"address": "1.1.1.1", "ports": {"one": 8081}}],
        ),
        weights_and_places=endpoint(address="1.1.1.1", weight=3, locality="a/b", serviceAccount="web"),
    ),
    *rejected("spec.endpoints[0].address", no_address=endpoint()),
    *rejected(
        "spec.endpoints[0].address",
        an_address_with_a_port=entry("DNS", endpoints=[{"address": "a.test:9443"}]),
    ),
    *rejected(
        "spec.endpoints[0].address",
        a_name_where_addresses_are=entry("STATIC", endpoints=[EAST, ADDRESSES[1]]),
    ),
    *rejected(
        "spec.endpoints[0].address",
        a_wildcard=entry("DNS", endpoints=[{**EAST, "address": "*.shop.test"}, WEST]),
    ),
    *rejected("spec.endpoints", any_address_but_endpoints=entry(endpoints=[EAST])),
    *rejected("spec.endpoints", two_names_for_all=entry("DNS_ROUND_ROBIN", endpoints=[EAST, ADDRESSES[1]])),
    *rejected(
        "spec.endpoints[1].ports.three",
        a_port_that_is_not_there=entry("DNS", endpoints=[EAST, {**WEST, "ports": {"three": 9080}}]),
        a_port_that_is_not_there_either=entry(
            "STATIC", endpoints=[ADDRESSES[0], {"address": "2.2.2.2", "ports": {"three": 1}}]
        ),
    ),
    *rejected(
        "spec.endpoints[0].ports.web", a_port_too_high=endpoint(address="1.1.1.1", ports={"web": 65536})
    ),
    *rejected(
        "spec.endpoints[0].labels..", a_label_that_is_none=endpoint(address="1.1.1.1", labels={".": "~"})
    ),
    *rejected("spec.endpoints[0].address", a_socket_by_relative_path=socket("unix://./relative/a.sock")),
    *unsupported(
        "spec.endpoints[0].address",
        a_socket=socket("unix:///path/to/a.sock"),
        a_socket_with_a_port=entry("STATIC", endpoints=[{"address": "unix:///a/b", "ports": {"one": 6553}}]),
        a_socket_for_two_ports=socket("unix:///path/to/a.sock", GRPC, ONE),
        a_socket_among_names=entry("DNS", "*.shop.test", ports=[ONE], endpoints=[{"address": "unix:///a/b"}]),
    ),
    *unsupported("spec.endpoints[0].network", another_network=endpoint(address="1.1.1.1", network="far")),
    *rejected("spec.endpoints[0].address", another_network_without_address=endpoint(network="far")),
]

PORTS: list[Case] = [
    *accepted(
        no_protocol=entry(addresses=["172.1.2.16/16"], ports=[ONE, {"number": 8080, "name": "two"}]),
        no_protocol_and_no_addresses=entry(addresses=[], ports=[ONE, {"number": 8080, "name": "two"}]),
        tcp=entry(addresses=[], ports=[ONE, {"number": 81, "protocol": "TCP", "name": "tcp"}]),
        the_same_target_twice=entry("DNS", ports=[{**ONE, "targetPort": 80}, {**TWO, "targetPort": 80}]),
        a_target=entry("DNS", ports=[{**ONE, "targetPort": 81}]),
        no_ports={"hosts": ["shop.test"]},
        a_long_name=entry(ports=[{**ONE, "name": "a" * 63}]),
    ),
    *rejected("spec.ports[1].name", the_same_name_twice=entry(ports=[ONE, {**TWO, "name": "one"}])),
    *rejected("spec.ports[1].number", the_same_number_twice=entry(ports=[ONE, {**TWO, "number": 80}])),
    *rejected("spec.ports[0].number", a_number_too_high=entry(ports=[{**ONE, "number": 99999}])),
    *rejected(
        "spec.ports[0].targetPort", a_target_too_high=entry("DNS", ports=[{**ONE, "targetPort": 65536}])
    ),
    *rejected("spec.ports[0].name", no_name=entry(ports=[{**ONE, "name": ""}])),
    *rejected("spec.ports[0].name", a_name_too_long=entry(ports=[{**ONE, "name": "a" * 64}])),
    *rejected("spec.ports[0].protocol", a_protocol_that_is_none=entry(ports=[{**ONE, "protocol": "HTPP"}])),
]


@pytest.mark.parametrize("case", parameters(HOSTS, ENDPOINTS, PORTS))
def test_service_entries(case: Case) -> None:
    judge("ServiceEntry", case)


def test_there_is_a_spec() -> None:
    """Nothing is not one."""
    assert [finding.field for finding in findings("ServiceEntry", None)] == ["spec"]
