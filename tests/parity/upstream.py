"""The endpoints of one play: on loopback addresses, doing what the timeline says."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

from tests.parity.endpoint import Arrived, Endpoint
from tests.parity.scenario import Scenario, Seen
from tests.support.certificates import Authority

_UNTOLD = frozenset(
    {"connection", "content-type", "content-length", "transfer-encoding", "x-forwarded-proto", "x-request-id"}
)
"""Headers that say nothing about the mesh; the length of the body is told apart."""

_VALUE_UNTOLD = frozenset({"x-envoy-expected-rq-timeout-ms"})
"""The clock's."""

_ONLY_IN_SHADOWS = frozenset({"x-envoy-internal", "x-forwarded-for"})
"""What Envoy says about itself as the client that sends the copies."""


class Upstream:
    """All endpoints of a play; `async with` starts and stops them.

    Endpoints found by DNS differ in their addresses and share a port, others the other way round.
    """

    def __init__(
        self, scenario: Scenario, authority: Authority, ports: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        self.seen: list[Seen] = []
        self.held: list[asyncio.Future[None]] = []
        self.is_holding = False
        self.services: dict[str, list[Endpoint]] = {}
        for name, service in scenario.services.items():
            endpoints = self.services[name] = []
            for number in range(service.endpoints):
                port = ports[name][number] if ports else 0
                address = "127.0.0.1"
                if service.dns is not None:
                    port = endpoints[0].port if endpoints else port
                    address = f"127.0.0.{number + 1}"
                endpoint = Endpoint(
                    f"{name}-{number}", address, port, self._arrived, keep_alive=scenario.keep_alive
                )
                if service.certificate:
                    endpoint.speak_tls(authority.issue(*service.certificate))
                endpoints.append(endpoint)

    @property
    def places(self) -> dict[str, list[tuple[str, int]]]:
        """Address and port of each service's endpoints."""
        return {name: [(e.address, e.port) for e in found] for name, found in self.services.items()}

    @property
    def ports(self) -> dict[str, list[int]]:
        """The ports of each service's endpoints."""
        return {name: [e.port for e in found] for name, found in self.services.items()}

    @property
    def names(self) -> dict[str, str]:
        """The endpoints' names by `address:port`."""
        return {str(endpoint): endpoint.name for found in self.services.values() for endpoint in found}

    async def __aenter__(self) -> Self:
        for endpoints in self.services.values():
            for endpoint in endpoints:
                await endpoint.become((200,))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop all endpoints; again is no error."""
        for endpoints in self.services.values():
            for endpoint in endpoints:
                await endpoint.stop()

    def release(self) -> None:
        """Let the held requests be answered, in the order of their arrival."""
        self.is_holding = False
        for future in self.held:
            future.set_result(None)
        self.held.clear()

    def _arrived(self, endpoint: Endpoint, arrived: Arrived) -> asyncio.Future[None] | None:
        is_shadow = dict(arrived.headers).get("host", "").endswith("-shadow")
        untold = _UNTOLD | _ONLY_IN_SHADOWS if is_shadow else _UNTOLD
        headers = tuple(
            (name, "" if name in _VALUE_UNTOLD else value)
            for name, value in arrived.headers
            if name not in untold
        )
        self.seen.append(Seen(endpoint.name, arrived.line, headers, arrived.body_size))
        if not self.is_holding:
            return None
        future = asyncio.get_running_loop().create_future()
        self.held.append(future)
        return future
