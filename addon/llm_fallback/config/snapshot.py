"""The compiled configuration: immutable, and shaped for the questions that a request asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from llm_fallback.outlier import Endpoint, OutlierPolicy

CONNECT_TIMEOUT_S = 10.0
"""Istio's default connect timeout."""

CHAT_COMPLETIONS = "/chat/completions"
"""How the path of every OpenAI-compatible chat endpoint ends."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS towards a target: the SNI that is sent, and the names of which the certificate must bear one.

    `ca_file` None means the system's authorities; `verify` False means no verification at all.
    """

    sni: str
    names: tuple[str, ...]
    ca_file: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """What a request to an LLM provider's host needs."""

    name: str
    path: str | None = None
    model: str | None = None
    stream: bool | None = None
    api_key: SecretStr | None = None

    @property
    def base(self) -> str | None:
        """The path under which the provider's API lives; None where its chat path does not tell."""
        if self.path is None or not self.path.endswith(CHAT_COMPLETIONS):
            return None
        return self.path.removesuffix(CHAT_COMPLETIONS)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A host and port as something that can be called.

    With `per_address`, `endpoints` name hosts, and each address that they resolve to is an endpoint of its
    own (`resolution: DNS`). `panic_threshold` is a percentage: with fewer endpoints healthy, ejections are
    ignored.
    """

    host: str
    port: int
    endpoints: tuple[Endpoint, ...]
    per_address: bool = False
    tls: Tls | None = None
    outlier: OutlierPolicy | None = None
    panic_threshold: int = 0
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    provider: Provider | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Service:
    """The ports of a host; one that has a single port is called there, whatever port a route leaves out."""

    host: str
    targets: Mapping[int, Target]

    def target(self, port: int | None, *, listener_port: int) -> Target | None:
        """The target for the port that a route names, or else that the client used (Istio's rule)."""
        if port is None and len(self.targets) == 1:
            return next(iter(self.targets.values()))
        return self.targets.get(listener_port if port is None else port)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host, and its port where the route names one."""

    host: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class RouteDestination:
    """Where a share of a route's requests goes, and where instead while nobody there is healthy."""

    destination: HostPort
    weight: int = 1
    fallback: HostPort | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One rule; `source` says where it was written."""

    name: str
    source: str
    destinations: tuple[RouteDestination, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that requests need to know. `routes` has an entry for every managed host."""

    services: Mapping[str, Service] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)

    def manages(self, host: str) -> bool:
        """Whether requests to the host are handled here; `host` may be written in any case."""
        return host in self.routes or host.lower() in self.routes

    def targets(self) -> tuple[Target, ...]:
        """Every target of every host."""
        return tuple(target for service in self.services.values() for target in service.targets.values())

    def provider_of(self, host: str) -> Provider | None:
        """The LLM provider with this host, if it is one."""
        service = self.services.get(host) or self.services.get(host.lower())
        return next((target.provider for target in service.targets.values()), None) if service else None
