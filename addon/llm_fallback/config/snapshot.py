"""The compiled configuration: immutable, and shaped for the questions that a request asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr

from llm_fallback.config.routes import VirtualHost
from llm_fallback.outlier import Endpoint, OutlierPolicy

CONNECT_TIMEOUT_S = 10.0
"""Istio's default connect timeout."""

IDLE_TIMEOUT_S = 3600.0
"""Istio's default for idle connections."""

CHAT_COMPLETIONS = "/chat/completions"
"""How the path of every OpenAI-compatible chat endpoint ends."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS towards a target: the SNI that is sent, and the names of which the certificate must bear one.

    `ca_file` None means the system's authorities; `verify` False means no verification at all. With
    `certificate_file` and `key_file` the client proves who it is (MUTUAL).
    """

    sni: str
    names: tuple[str, ...]
    ca_file: str | None = None
    verify: bool = True
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What is set in a request to an LLM provider."""

    model: str | None = None
    stream: bool | None = None
    api_key: SecretStr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """What a request to a provider's host needs; `by_rule` replaces `default` for rules of an LLMRoute.

    A `path` that came from a variable is `Expanded`.
    """

    name: str
    path: str | None = None
    default: ProviderConfig = ProviderConfig()
    by_rule: Mapping[str, ProviderConfig] = field(default_factory=dict)

    def config(self, rule: str | None) -> ProviderConfig:
        """The settings for requests under an LLMRoute's rule, or under none."""
        return self.default if rule is None else self.by_rule.get(rule, self.default)

    @property
    def base(self) -> str | None:
        """The path under which the provider's API lives; None where its chat path does not tell."""
        if self.path is None or not self.path.endswith(CHAT_COMPLETIONS):
            return None
        return self.path.removesuffix(CHAT_COMPLETIONS)


class Algorithm(StrEnum):
    """How an endpoint is chosen among those in rotation (Envoy's `lb_policy`)."""

    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    RING_HASH = "RING_HASH"
    MAGLEV = "MAGLEV"


LARGEST_TABLE = 65_537
"""Entries in a table of consistent hashing: Istio's default for Maglev.

A table is made anew, while requests wait, when endpoints leave the rotation. This many entries take some
30 ms; Envoy's bounds, which are a hundred times that, would take seconds.
"""


class HashSource(StrEnum):
    """What of a request is hashed."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY_PARAMETER = "query parameter"
    SOURCE_IP = "source IP"


@dataclass(frozen=True, slots=True)
class HashPolicy:
    """What of a request chooses the endpoint; a cookie with a `cookie_ttl_s` is made where there is none."""

    source: HashSource
    name: str = ""
    cookie_path: str = ""
    cookie_ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class Warmup:
    """Envoy's slow start: an endpoint that is new gets its full share only after `duration_s`."""

    duration_s: float
    aggression: float = 1.0
    minimum_percent: float = 10.0


@dataclass(frozen=True, slots=True)
class LoadBalancing:
    """How endpoints are chosen; `table_size` is the ring's minimum, or Maglev's table."""

    algorithm: Algorithm = Algorithm.LEAST_REQUEST
    hash_policy: HashPolicy | None = None
    table_size: int = 1024
    warmup: Warmup | None = None


NO_LIMIT = 2**32 - 1
"""What Istio has Envoy count up to where a limit is left out."""


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """Limits on connections and requests to a target (Istio's connectionPool); None and 0 are no limit.

    An `idle_timeout_s` of None keeps idle connections for ever.
    """

    connect_timeout_s: float = CONNECT_TIMEOUT_S
    idle_timeout_s: float | None = IDLE_TIMEOUT_S
    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None
    max_requests_per_connection: int = 0
    max_connection_duration_s: float | None = None


DEFAULT_POOL = ConnectionPool()


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A host, port and subset as something that can be called: what Envoy calls a cluster.

    With `per_address`, `endpoints` name hosts, and each address that they resolve to is an endpoint of its
    own (`resolution: DNS`). `weights` are those of `endpoints`, in their order; empty: all alike.
    `panic_threshold` is a percentage: with fewer endpoints healthy, ejections are ignored.
    """

    host: str
    port: int
    endpoints: tuple[Endpoint, ...]
    subset: str | None = None
    weights: tuple[int, ...] = ()
    per_address: bool = False
    tls: Tls | None = None
    outlier: OutlierPolicy | None = None
    panic_threshold: int = 0
    balancing: LoadBalancing = LoadBalancing()
    pool: ConnectionPool = DEFAULT_POOL
    provider: Provider | None = None
    sources: tuple[str, ...] = ()
    """The resources that describe it, and where they were written."""

    @property
    def key(self) -> "TargetKey":
        """What a target is known by, across reloads."""
        return self.host, self.port, self.subset

    def __str__(self) -> str:
        return name_of(self.key)


type TargetKey = tuple[str, int, str | None]

type TargetEndpoint = tuple[TargetKey, Endpoint]
"""An endpoint of a target: another target may have the same."""


def name_of(key: TargetKey) -> str:
    """The name of a target, `host:port` or `host:port/subset`."""
    host, port, subset = key
    return f"{host}:{port}" + (f"/{subset}" if subset else "")


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """The ports and subsets of a host; a single port is called there, whatever port a route leaves out."""

    host: str
    targets: Mapping[tuple[int, str | None], Target]

    def target(self, port: int | None, subset: str | None, *, listener_port: int) -> Target | None:
        """The target for the port that a route names, or else that the client used (Istio's rule)."""
        if port is None:
            ports = {number for number, _ in self.targets}
            port = next(iter(ports)) if len(ports) == 1 else listener_port
        return self.targets.get((port, subset))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything that requests need to know.

    `virtual_hosts` are the managed hosts by name, `wildcards` by suffix: `.example.com` for `*.example.com`,
    and the empty one for `*`.
    """

    services: Mapping[str, Service] = field(default_factory=dict)
    virtual_hosts: Mapping[str, VirtualHost] = field(default_factory=dict)
    wildcards: Mapping[str, VirtualHost] = field(default_factory=dict)

    def virtual_host(self, host: str) -> VirtualHost | None:
        """The rules for a host: its own, or the longest wildcard's (Envoy's order).

        It may be written in any case, and with a dot at its end: DNS knows it by that name as well.
        """
        name = host.lower().removesuffix(".")
        if (own := self.virtual_hosts.get(name)) or not self.wildcards:
            return own
        at = name.find(".", 1)
        while at != -1:
            if found := self.wildcards.get(name[at:]):
                return found
            at = name.find(".", at + 1)
        return self.wildcards.get("")

    @property
    def host_patterns(self) -> dict[str, VirtualHost]:
        """The rules of all managed hosts, by host or wildcard as rules name them."""
        return {**self.virtual_hosts, **{f"*{suffix}": host for suffix, host in self.wildcards.items()}}

    @property
    def is_empty(self) -> bool:
        """Whether no host is managed."""
        return not (self.virtual_hosts or self.wildcards)

    def manages(self, host: str) -> bool:
        """Whether requests to the host are handled here."""
        return host in self.virtual_hosts or self.virtual_host(host) is not None

    def targets(self) -> tuple[Target, ...]:
        """Every target of every host."""
        return tuple(target for service in self.services.values() for target in service.targets.values())

    def target(self, key: TargetKey) -> Target | None:
        """The target that is known by this; None if there is none any more."""
        host, port, subset = key
        service = self.services.get(host)
        return service.targets.get((port, subset)) if service else None

    def provider_of(self, host: str) -> Provider | None:
        """The LLM provider with this host, if it is one."""
        service = self.services.get(host) or self.services.get(host.lower())
        return next((target.provider for target in service.targets.values()), None) if service else None
