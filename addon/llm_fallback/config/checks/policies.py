"""Whether the policies of DestinationRules stand for those for whom they were written."""

from collections.abc import Iterator

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.compile.policies import Policy
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.snapshot import LARGEST_TABLE
from llm_fallback.resources.destinationrule import TrafficPolicy
from llm_fallback.resources.llmprovider import CUSTOM_DESTINATION_RULE
from llm_fallback.resources.loadbalancer import ConsistentHash
from llm_fallback.resources.names import patterns_around

_BLOCKS = {
    "connection_pool": "connectionPool",
    "load_balancer": "loadBalancer",
    "outlier_detection": "outlierDetection",
    "tls": "tls",
}


def port_entries_keep_what_stands(configuration: Configuration) -> Iterator[Finding]:
    """An entry of portLevelSettings replaces all four blocks above it, also those that it does not have."""
    for written in configuration.policies:
        entries = written.policy.port_level_settings
        hosts = configuration.hosts_under(written.policy) if entries else ()
        host_with = {port: host for host in hosts for port, _ in configuration.services[host].targets}
        for index, entry in enumerate(entries):
            port = entry.port.number
            if port not in host_with or any(other.port.number == port for other in entries[:index]):
                continue
            above: list[TrafficPolicy | Policy] = [written.policy]
            if written.subset is not None:
                above.append(configuration.rules.of_host(host_with[port]).of(port, None))
            lost = [
                alias
                for name, alias in _BLOCKS.items()
                if getattr(entry, name) is None and any(getattr(policy, name) for policy in above)
            ]
            if lost:
                blocks = " and ".join(lost)
                yield written.rule.finding(
                    (*written.path, "portLevelSettings", index),
                    f"loses {blocks}: the entry of a port replaces all that is said outside of it",
                    f"repeat {blocks} in the entry",
                    Code.REPLACED_POLICY,
                    Severity.WARNING,
                )


def ports_have_one_entry(configuration: Configuration) -> Iterator[Finding]:
    """Of several entries for a port, the first stands."""
    for written in configuration.policies:
        first: dict[int, int] = {}
        for index, entry in enumerate(written.policy.port_level_settings):
            stands = first.setdefault(entry.port.number, index)
            if stands != index:
                yield written.rule.finding(
                    (*written.path, "portLevelSettings", index),
                    f"has no effect: portLevelSettings[{stands}] is for the same port",
                    "merge the two",
                    Code.NO_EFFECT,
                    Severity.WARNING,
                )


def hashes_have_a_subject(configuration: Configuration) -> Iterator[Finding]:
    """Envoy takes any endpoint for a request of which nothing is hashed."""
    for written in configuration.policies:
        for path, block in written.blocks():
            if (
                block.load_balancer
                and (hashing := block.load_balancer.consistent_hash)
                and not hashing.subject
            ):
                yield written.rule.finding(
                    (*path, "loadBalancer", "consistentHash"),
                    "hashes nothing: endpoints are chosen at random",
                    "add httpHeaderName, httpCookie, httpQueryParameterName or useSourceIp: true",
                    Code.NO_EFFECT,
                    Severity.WARNING,
                )


def destinations_hash_alike(configuration: Configuration) -> Iterator[Finding]:
    """The mesh hashes for every destination of a rule what any of them asks for."""
    for written in configuration.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            hashed = {
                target.balancing.hash_policy
                for entry in rule.route
                if entry.weight
                for target in configuration.targets(entry.destination)
            }
            if len(hashed - {None}) > 1:
                yield written.finding(
                    ("spec", "http", index, "route"),
                    "each destination hashes what its own DestinationRule says",
                    "the mesh hashes for each what is said for any of them",
                    Code.UNLIKE_MESH,
                    Severity.INFO,
                )


def rules_of_providers_count(configuration: Configuration) -> Iterator[Finding]:
    """A DestinationRule for a provider's host counts only if the provider says so."""
    plain = {
        host: provider
        for host, provider in configuration.collection.provider_of.items()
        if not provider.resource.has_custom_destination_rule
    }
    under: dict[str, str] = {}
    for host in plain:
        for pattern in patterns_around(host):
            under.setdefault(pattern, host)
    for written in configuration.collection.destination_rules:
        host = written.resource.spec.host
        provider = plain.get(under.get(host, host))
        if provider:
            what = "has no effect" if host in plain else "has no effect on the host of a provider"
            yield written.finding(
                ("spec", "host"),
                f"{what}: the rule generated for {provider.document.name} stands",
                f'annotate that LLMProvider with {CUSTOM_DESTINATION_RULE}: "true"',
                Code.GENERATED_RULE,
                Severity.WARNING,
            )


def tables_are_not_too_large(configuration: Configuration) -> Iterator[Finding]:
    """A table of consistent hashing has only so many entries here."""
    for written in configuration.policies:
        for path, block in written.blocks():
            hashing = block.load_balancer.consistent_hash if block.load_balancer else None
            for field, size in _table_sizes(hashing) if hashing else ():
                if size > LARGEST_TABLE:
                    yield written.rule.finding(
                        (*path, "loadBalancer", "consistentHash", *field),
                        f"acts as {LARGEST_TABLE}: some keys lead to other endpoints than in the mesh",
                        f"write {LARGEST_TABLE} or less",
                        Code.UNSUPPORTED_VALUE,
                        Severity.WARNING,
                    )


def annotations_are_understood(configuration: Configuration) -> Iterator[Finding]:
    """The annotation for a rule of one's own is `true`; `false` is as good as none."""
    for written in configuration.collection.providers:
        value = written.resource.metadata.annotations.get(CUSTOM_DESTINATION_RULE)
        if value not in (None, "true", "false"):
            yield written.finding(
                ("metadata", "annotations", CUSTOM_DESTINATION_RULE),
                "has no effect: the generated DestinationRule stands",
                'write "true"',
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def _table_sizes(hashing: ConsistentHash) -> Iterator[tuple[Path, int]]:
    yield ("minimumRingSize",), hashing.minimum_ring_size
    if hashing.ring_hash:
        yield ("ringHash", "minimumRingSize"), hashing.ring_hash.minimum_ring_size
    if hashing.maglev:
        yield ("maglev", "tableSize"), hashing.maglev.table_size
