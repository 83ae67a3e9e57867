"""What is counted is what Envoy counts of the same requests, and is shown in the same shape."""

import asyncio
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.parity.envoy_names import cluster_name
from tests.parity.mesh import Document
from tests.parity.names import NameServer
from tests.parity.players import AddonPlayer, EnvoyPlayer
from tests.support.provider import Behaviour, Exchange, Provider, close_before_headers, hang, respond
from tests.support.proxy import Setting

REFUSED = None
ON_5XX = {"attempts": 2, "retryOn": "5xx"}
EJECTS = {"baseEjectionTime": "300s", "interval": "1s", "maxEjectionPercent": 100, "minHealthPercent": 0}
OF_CONNECTIONS = ("upstream_cx_active",)  # how long they are kept is everybody's own affair
NOT_COUNTED = {"cx_total"}  # of an endpoint: events do not tell of connections that can be made


async def once(exchange: Exchange) -> None:
    """A 503 for the first attempt at a request, then a 200."""
    first = exchange.request.header("x-envoy-attempt-count") == "1"
    await respond(503 if first else 200)(exchange)


class Occupied:
    """A behaviour that never answers, and says when it has a request."""

    def __init__(self) -> None:
        self.is_busy = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        """Keep it."""
        self.is_busy.set()
        await exchange.hung_up()


@dataclass(frozen=True, slots=True)
class Case:
    """A host: who answers there, what the mesh is told about it, and how many requests it gets."""

    behaviour: Behaviour | None
    route: Mapping[str, Any]
    policy: Mapping[str, Any]
    requests: int = 1


def case(behaviour: Behaviour | None, *, requests: int = 1, **settings: Any) -> Case:
    """The outlier detection and the connection pool go into the DestinationRule, the rest into the route."""
    names = {"outlierDetection", "connectionPool"} & settings.keys()
    policy = {name: settings.pop(name) for name in names}
    return Case(behaviour, settings, policy, requests)


CASES = {
    "fine": case(respond(), requests=3),
    "limited": case(respond(429)),
    "down": case(respond(503), retries=ON_5XX, requests=2),
    "once": case(once, retries=ON_5XX),
    "refused": case(REFUSED),
    "refused-once": case(REFUSED, retries={"attempts": 0}),
    "closed": case(close_before_headers, retries={"attempts": 0}),
    "slow": case(hang, timeout="2s"),
    "slow-tries": case(
        hang, timeout="30s", retries={"attempts": 1, "perTryTimeout": "1.2s", "retryOn": "5xx"}
    ),
    "late": case(hang, timeout="4s", retries={"attempts": 5, "perTryTimeout": "1.4s", "retryOn": "5xx"}),
    "ejected": case(REFUSED, requests=2, outlierDetection={**EJECTS, "consecutive5xxErrors": 1}),
    "ejected-for-503": case(
        respond(503), retries=ON_5XX, requests=2, outlierDetection={**EJECTS, "consecutive5xxErrors": 1}
    ),
    "gateway": case(respond(502), outlierDetection={**EJECTS, "consecutiveGatewayErrors": 1}),
    "local": case(
        REFUSED,
        outlierDetection={
            **EJECTS,
            "splitExternalLocalOriginErrors": True,
            "consecutiveLocalOriginFailures": 1,
        },
    ),
    "full": case(
        Occupied(),
        timeout="4s",
        connectionPool={"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}},
    ),
}


class CountingEnvoy(EnvoyPlayer):
    """Envoy with all its statistics."""

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        command = super()._prepare(documents)
        file = self._folder / "envoy.yaml"
        config = yaml.safe_load(file.read_text("utf-8"))
        del config["stats_config"]
        file.write_text(yaml.safe_dump(config), "utf-8")
        return command

    async def admin(self, path: str) -> str:
        """What a path of its admin interface says."""
        return await self._admin(path)


class CountingAddon(AddonPlayer):
    """The addon with its admin page."""

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        return [*super()._prepare(documents), "--set", "llm_admin=127.0.0.1:0"]

    async def admin(self, path: str) -> str:
        """What a path of its admin page says."""
        told = next(line for line in self.lines if "admin page at " in line)
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(told.rpartition("at ")[2] + path)).raise_for_status().text


@dataclass(frozen=True, slots=True)
class Told:
    """What a proxy says after all requests; the values are those of each case, by their names."""

    statuses: dict[str, list[int]]
    values: dict[str, dict[str, int]]
    clusters: dict[str, Any]
    text: dict[str, dict[str, str]]


@pytest.fixture(scope="module", name="told")
def played(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    """Envoy's, and ours."""
    return asyncio.run(play_both(setting, tmp_path_factory.mktemp("metrics")))


async def play_both(setting: Setting, folder: Path) -> tuple[Told, Told]:
    """One after the other, with the same providers."""
    async with AsyncExitStack() as stack:
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        documents = []
        for name, case in CASES.items():
            port = nobody.getsockname()[1]
            if case.behaviour:
                port = (await stack.enter_async_context(Provider(case.behaviour))).port
            documents += list(yaml_of(f"{name}.test", case, port))
        names = await stack.enter_async_context(NameServer())
        envoy = CountingEnvoy(documents, folder, setting, names)
        ours = CountingAddon(documents, folder, setting, names)
        return await play(envoy, cluster_name), await play(ours, lambda host: f"outbound|80||{host}")


async def play(player: CountingEnvoy | CountingAddon, cluster: Any) -> Told:
    """Ask, and look at what has been counted."""
    async with player, httpx.AsyncClient(proxy=f"http://127.0.0.1:{player.port}", timeout=20) as client:
        statuses = dict(zip(CASES, await asyncio.gather(*(ask(client, n) for n in CASES)), strict=True))
        await player.settle()
        names = {cluster(f"{name}.test"): name for name in CASES}
        stats = await player.admin("/stats")
        clusters = json.loads(await player.admin("/clusters?format=json"))["cluster_statuses"]
        text = await player.admin("/clusters")
    values: dict[str, dict[str, int]] = {name: {} for name in CASES}
    for line in stats.splitlines():
        known = next((c for c in names if line.startswith(f"cluster.{c}.")), None)
        if known:
            name, _, value = line.removeprefix(f"cluster.{known}.").partition(": ")
            if value.isdecimal():
                values[names[known]][name] = int(value)
    return Told(
        statuses,
        values,
        {names[found["name"]]: found for found in clusters if found["name"] in names},
        {name: dict(lines_of(text, c)) for c, name in names.items()},
    )


async def ask(client: httpx.AsyncClient, name: str) -> list[int]:
    """The statuses of the requests to a host; while one occupies it, two more come."""
    behaviour = CASES[name].behaviour
    if isinstance(behaviour, Occupied):
        behaviour.is_busy.clear()
        first = asyncio.create_task(client.get(f"http://{name}.test/"))
        await behaviour.is_busy.wait()
        others = (client.get(f"http://{name}.test/") for _ in range(2))
        answers = await asyncio.gather(first, *others)
        return sorted(answer.status_code for answer in answers)
    return [(await client.get(f"http://{name}.test/")).status_code for _ in range(CASES[name].requests)]


def lines_of(text: str, cluster: str) -> Iterator[tuple[str, str]]:
    """The lines about a cluster without its name, apart from their values."""
    for line in text.splitlines():
        if line.startswith(f"{cluster}::"):
            name, _, value = line.removeprefix(f"{cluster}::").rpartition("::")
            yield name, value


def yaml_of(host: str, case: Case, port: int) -> Iterator[Document]:
    """Its resources."""
    route = {"route": [{"destination": {"host": host}}], **case.route}
    policy = {"tls": {"mode": "DISABLE"}, **case.policy}
    endpoint = {"address": "127.0.0.1", "ports": {"http": port}}
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    entry = {"hosts": [host], "resolution": "STATIC", "ports": ports, "endpoints": [endpoint]}
    specs = {
        "VirtualService": {"hosts": [host], "http": [route]},
        "DestinationRule": {"host": host, "trafficPolicy": policy},
        "ServiceEntry": entry,
    }
    for kind, spec in specs.items():
        metadata = {"name": host.partition(".")[0]}
        yield {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def test_the_answers_are_the_same(told: tuple[Told, Told]) -> None:
    """Or else the counts could not be."""
    envoy, ours = told
    assert ours.statuses == envoy.statuses


@pytest.mark.parametrize("name", CASES)
def test_the_counts_are_envoys(name: str, told: tuple[Told, Told]) -> None:
    """Every value that is shown here is shown by Envoy, and is the same; it has others besides."""
    envoy, ours = (each.values[name] for each in told)
    shown = {
        key: n for key, n in ours.items() if not key.startswith("llm_fallback") and key not in OF_CONNECTIONS
    }
    assert shown == {key: envoy.get(key) for key in shown}
    assert {key for key in envoy if "upstream_rq_" in key and key[-3:].isdecimal()} - {*shown} == {
        key for key in envoy if key.startswith("external.") and key[-3:].isdecimal()
    }


@pytest.mark.parametrize("name", CASES)
def test_the_clusters_have_envoys_shape(name: str, told: tuple[Told, Told]) -> None:
    """The same keys at every level, in JSON and in text; only Istio's clusters come from an API."""
    envoy, ours = (each.clusters[name] for each in told)
    assert paths(ours) - {"/added_via_api"} == paths(envoy)
    assert {stat["name"] for stat in stats_of(ours)} == {
        stat["name"] for stat in stats_of(envoy)
    } - NOT_COUNTED
    envoy_text, our_text = (each.text[name] for each in told)
    assert {*our_text} == {key for key in envoy_text if key.rpartition("::")[2] not in NOT_COUNTED}


@pytest.mark.parametrize("name", CASES)
def test_the_endpoints_counts_are_envoys(name: str, told: tuple[Told, Told]) -> None:
    """Requests, errors, timeouts, refused connections, and whether it is ejected."""
    envoy, ours = ({s["name"]: s for s in stats_of(each.clusters[name])} for each in told)
    counted = {key for key, stat in ours.items() if "type" not in stat}
    assert {key: ours[key] for key in counted} == {key: envoy[key] for key in counted}
    envoy_health, our_health = (each.clusters[name]["host_statuses"][0]["health_status"] for each in told)
    assert our_health == envoy_health


def stats_of(cluster: dict[str, Any]) -> list[dict[str, str]]:
    """Of its only endpoint."""
    (host,) = cluster["host_statuses"]
    found: list[dict[str, str]] = host["stats"]
    return found


def paths(value: Any, at: str = "") -> set[str]:
    """Where there is something in a JSON value: keys, and the elements of lists as one. Statistics apart."""
    if isinstance(value, dict):
        return {
            at,
            *(path for key, item in value.items() if key != "stats" for path in paths(item, f"{at}/{key}")),
        }
    if isinstance(value, list):
        return {at, *(path for item in value for path in paths(item, f"{at}[]"))}
    return {at}
