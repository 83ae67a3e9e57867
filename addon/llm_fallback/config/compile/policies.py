"""What DestinationRules say for a host, port and subset, as Istio merges them.

A port's entry replaces the rule's policy whole. A subset's policy then overrides it block by block, and a
port's entry within the subset's policy replaces all blocks again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llm_fallback.config.collection import Collection
from llm_fallback.config.validate import Written
from llm_fallback.resources import DestinationRule
from llm_fallback.resources.connectionpool import ConnectionPoolSettings
from llm_fallback.resources.destinationrule import (
    ClientTlsSettings,
    DestinationRuleSpec,
    OutlierDetection,
    Subset,
    TlsMode,
    TrafficPolicy,
)
from llm_fallback.resources.loadbalancer import LoadBalancerSettings
from llm_fallback.resources.names import patterns_around


@dataclass(frozen=True, slots=True)
class Policy:
    """The four blocks that stand for one port of a host or subset."""

    tls: ClientTlsSettings | None = None
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None


@dataclass(frozen=True, slots=True)
class HostRule:
    """All that DestinationRules say about a host."""

    policy: TrafficPolicy | None = None
    subsets: Mapping[str, Subset] | None = None
    places: tuple[str, ...] = ()
    """Where it was written."""

    def of(self, port: int, subset: str | None) -> Policy:
        """What stands for a port, and for a subset of the host if there is one."""
        general = _merged(Policy(), self.policy, port)
        if subset is None or not self.subsets:
            return general
        return _merged(general, self.subsets[subset].traffic_policy, port)


GENERATED_TLS = ClientTlsSettings(mode=TlsMode.SIMPLE)
# ASM's is for port 80 alone; here a ServiceEntry's other ports do not send the key in plain text either.
_GENERATED_POLICY = TrafficPolicy(tls=GENERATED_TLS)
_GENERATED = HostRule(_GENERATED_POLICY)


class Rules:
    """The DestinationRules of a configuration that are for the workload, by host; None: for any."""

    def __init__(self, collection: Collection, workload: dict[str, str] | None) -> None:
        self._owners = collection.provider_of
        by_host: dict[str, list[Written[DestinationRule]]] = {}
        # A rule that selects the workload comes before those that are for all.
        rules = sorted(collection.destination_rules, key=lambda w: not _names(w.resource.spec, workload))
        for written in rules:
            if not _selects(written.resource.spec, workload):
                continue
            by_host.setdefault(written.resource.spec.host, []).append(written)
        self._rules = {host: _host_rule(rules) for host, rules in by_host.items()}

    def of_host(self, host: str) -> HostRule:
        """The rule of a host: its own, the longest wildcard's, or the one generated for a provider."""
        owner = self._owners.get(host)
        rule = self._rules.get(host) or self._wildcard(host)
        if owner is None:
            return rule or HostRule()
        if rule is None or not owner.resource.has_custom_destination_rule:
            return _GENERATED
        # A rule of the user's without a policy replaces nothing, least of all the provider's TLS.
        return rule if rule.policy else replace(rule, policy=_GENERATED_POLICY)

    def _wildcard(self, host: str) -> HostRule | None:
        return next((self._rules[name] for name in patterns_around(host) if name in self._rules), None)


def _names(spec: DestinationRuleSpec, workload: dict[str, str] | None) -> bool:
    return workload is not None and spec.workload_selector is not None


def _selects(spec: DestinationRuleSpec, workload: dict[str, str] | None) -> bool:
    wanted = spec.workload_selector.match_labels if spec.workload_selector else {}
    return workload is None or wanted.items() <= workload.items()


def _host_rule(rules: Sequence[Written[DestinationRule]]) -> HostRule:
    """Several rules for a host: the first policy, and all subsets (Istio's merge)."""
    specs = [written.resource.spec for written in rules]
    policy = next((spec.traffic_policy for spec in specs if spec.traffic_policy), None)
    subsets: dict[str, Subset] = {}
    for spec in specs:
        for subset in spec.subsets:
            subsets.setdefault(subset.name, subset)
    return HostRule(policy, subsets, tuple(written.place for written in rules))


def _merged(general: Policy, special: TrafficPolicy | None, port: int) -> Policy:
    if special is None:
        return general
    for entry in special.port_level_settings:
        if entry.port.number == port:
            return Policy(entry.tls, entry.outlier_detection, entry.connection_pool, entry.load_balancer)
    return Policy(
        special.tls or general.tls,
        special.outlier_detection or general.outlier_detection,
        special.connection_pool or general.connection_pool,
        special.load_balancer or general.load_balancer,
    )
