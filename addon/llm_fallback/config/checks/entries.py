"""Whether the hosts of ServiceEntries are managed: wildcards are not, nor what speaks no HTTP."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from llm_fallback.addresses import is_address
from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.checks.names import did_you_mean
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.resources.serviceentry import Resolution

_MOST_COMPARED = 100


def wildcards_are_passed_through(configuration: Configuration) -> Iterator[Finding]:
    """Requests under a wildcard go where they were going; endpoints of its own would be lost on them."""
    for written in configuration.collection.service_entries:
        spec = written.resource.spec
        for index, host in enumerate(spec.hosts):
            if not host.startswith("*"):
                continue
            path = ("spec", "hosts", index)
            if spec.resolution is Resolution.NONE:
                problem = "is not managed: requests under a wildcard are passed through as they are"
                hint = "name the hosts whose requests are to be handled"
                yield written.finding(path, problem, hint, Code.NOT_MANAGED, Severity.INFO)
            else:
                problem = "a wildcard with endpoints of its own is not supported"
                yield written.finding(path, problem, "write the full names", Code.UNSUPPORTED_VALUE)


def entries_have_endpoints(configuration: Configuration) -> Iterator[Finding]:
    """The endpoints of resolution STATIC are those that are written, so without them there is none."""
    for written in configuration.collection.service_entries:
        spec = written.resource.spec
        if spec.resolution is Resolution.STATIC and not spec.endpoints:
            yield written.finding(
                ("spec", "endpoints"),
                "there is none: requests to its hosts get 503",
                "add endpoints with their addresses, or write resolution: DNS",
                Code.NO_ENDPOINTS,
                Severity.WARNING,
            )


def subsets_have_endpoints(configuration: Configuration) -> Iterator[Finding]:
    """The labels of a subset are those of an endpoint, of a host that has endpoints at all."""
    empty = _without_endpoints(configuration)
    for written in configuration.collection.destination_rules:
        for index, subset in enumerate(written.resource.spec.subsets):
            if host := empty.get(id(subset)):
                yield written.finding(
                    ("spec", "subsets", index, "labels"),
                    "selects no endpoint: none of the host's has these labels",
                    _label_hint(configuration, host, subset.labels),
                    Code.NO_ENDPOINTS,
                    Severity.WARNING,
                )


def entries_have_ports(configuration: Configuration) -> Iterator[Finding]:
    """Requests come to ports that speak HTTP or TLS."""
    for written in configuration.collection.service_entries:
        ports = written.resource.spec.ports
        silent = [
            index for index, port in enumerate(ports) if not (port.protocol.is_http or port.protocol.is_tls)
        ]
        if len(silent) == len(ports):
            problem = "has no port with HTTP or TLS: there is nothing to manage"
            yield written.finding(("spec", "ports"), problem, "", Code.NOT_MANAGED, Severity.INFO)
            continue
        for index in silent:
            problem = f"is not managed: {ports[index].protocol.value} is neither HTTP nor TLS"
            path = ("spec", "ports", index)
            yield written.finding(path, problem, "", Code.NOT_MANAGED, Severity.INFO)


def addresses_are_passed_through(configuration: Configuration) -> Iterator[Finding]:
    """Hosts are known by their names; the mesh takes requests to an address of theirs for them, too."""
    for written in configuration.collection.service_entries:
        spec = written.resource.spec
        if not any(port.protocol.is_http for port in spec.ports):
            continue  # in the mesh, an address is no host's name to other protocols
        for index, address in enumerate(spec.addresses):
            if is_address(address):
                yield written.finding(
                    ("spec", "addresses", index),
                    "is not managed: requests to the address itself are passed through as they are",
                    "call the host by its name",
                    Code.NOT_MANAGED,
                    Severity.INFO,
                )


def _without_endpoints(configuration: Configuration) -> dict[int, str]:
    """Subsets, by identity, that select none of some on any host they are for, and one such host."""
    hosts: dict[int, str] = {}
    selecting: set[int] = set()
    for host, service in configuration.services.items():
        subsets = configuration.rules.of_host(host).subsets or {}
        for (port, name), target in service.targets.items():
            if name is None or not service.targets[port, None].endpoints:
                continue
            hosts.setdefault(id(subsets[name]), host)
            if target.endpoints:
                selecting.add(id(subsets[name]))
    return {subset: host for subset, host in hosts.items() if subset not in selecting}


def _label_hint(configuration: Configuration, host: str, wanted: Mapping[str, str]) -> str:
    """Which label of an endpoint was meant, if one is near."""
    entries = (entry.resource.spec for entry in configuration.collection.service_entries)
    given = [endpoint.labels for spec in entries if host in spec.hosts for endpoint in spec.endpoints]
    values: dict[str, set[str]] = defaultdict(set)
    for labels in given[:_MOST_COMPARED]:
        for name, text in labels.items():
            values[name].add(text)
    for name, text in wanted.items():
        if name not in values and (hint := did_you_mean(name, values)):
            return hint
        if name in values and text not in values[name] and (hint := did_you_mean(text, values[name])):
            return hint
    return "write these labels at endpoints of its ServiceEntry, or correct them"
