"""Whether the hosts of ServiceEntries are managed: wildcards are not, nor what speaks no HTTP."""

from collections.abc import Iterator

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.resources.serviceentry import Resolution


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


def entries_have_ports(configuration: Configuration) -> Iterator[Finding]:
    """Requests come to ports that speak HTTP or TLS."""
    for written in configuration.collection.service_entries:
        ports = written.resource.spec.ports
        if not any(port.protocol.is_http or port.protocol.is_tls for port in ports):
            yield written.finding(
                ("spec", "ports"),
                "has no port with HTTP or TLS: there is nothing to manage",
                "",
                Code.NOT_MANAGED,
                Severity.INFO,
            )
