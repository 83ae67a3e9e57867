"""Mesh YAML as people write it, and requests to the hosts in it.

In the texts `<name>` stands for what is known only when the test runs: a provider's port, the path of a file.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import httpx

from tests.support.background import Background
from tests.support.clients import Answer, answer_of, http_client
from tests.support.provider import Behaviour, Exchange, Provider, respond
from tests.support.proxy import Proxy, Setting

_ASM = "istio.alibabacloud.com/v1beta1"
_ISTIO = "networking.istio.io/v1"
_VERSIONS = {"LLMProvider": _ASM, "LLMRoute": _ASM}
_PLACEHOLDER = re.compile(r"<([\w-]+)>")


def resource(kind: str, name: str, spec: str, *, annotations: str = "{}") -> str:
    """A document with this spec, which may be indented as the test's source is."""
    body = indent(dedent(spec).strip("\n"), "  ")
    version = _VERSIONS.get(kind, _ISTIO)
    metadata = f"{{name: {name}, annotations: {annotations}}}"
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\nspec:\n{body}\n"


def virtual_service(name: str, rules: str) -> str:
    """A VirtualService for the host `<name>.test` with these entries of `http`."""
    return resource("VirtualService", name, f"hosts: [{name}.test]\nhttp:\n{dedent(rules)}")


def destination_rule(name: str, policy: str) -> str:
    """A DestinationRule for the host `<name>.test` with this spec, the host left out."""
    return resource("DestinationRule", name, f"host: {name}.test\n{dedent(policy)}")


def service_entry(name: str, *, port: str = "") -> str:
    """A ServiceEntry for the host `<name>.test`, port 80: a local one, the provider's of this name."""
    return resource(
        "ServiceEntry",
        name,
        f"""
        hosts: [{name}.test]
        resolution: STATIC
        ports:
        - number: 80
          name: http
          protocol: HTTP
          targetPort: <{port or name}>
        endpoints:
        - address: 127.0.0.1
        """,
    )


def service_entry_of(name: str, endpoints: str) -> str:
    """A ServiceEntry for the host `<name>.test`, port 80, with these endpoints."""
    spec = f"hosts: [{name}.test]\nresolution: STATIC\nports: [{{number: 80, name: http, protocol: HTTP}}]\n"
    return resource("ServiceEntry", name, f"{spec}endpoints:\n{dedent(endpoints)}")


@dataclass(frozen=True, slots=True)
class Mesh:
    """A proxy with mesh YAML, the providers behind it, and a client of it."""

    proxy: Proxy
    providers: Mapping[str, Provider]
    client: httpx.Client

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Answer:
        """The answer to a request; without a scheme, the URL is one of http."""
        full = url if "://" in url else f"http://{url}"
        return answer_of(self.client.request(method, full, headers=headers, content=content or None))

    def tally(self, url: str, count: int) -> Counter[str]:
        """How often each body came in so many answers to the same request."""
        return Counter(self.ask(url).body.decode() for _ in range(count))

    def told(self, host: str, status: int | str = r"\w+") -> str:
        """What the log says of the first request to a host that had this status, and perhaps flags."""
        return self.proxy.wait_for_line(rf" {re.escape(host)} .* \| {status} in \d+ ms$")


@contextmanager
def running(
    background: Background,
    setting: Setting,
    folder: Path,
    text: str,
    providers: Mapping[str, Provider],
    *options: str,
    values: Mapping[str, object] | None = None,
) -> Iterator[Mesh]:
    """Serve, write the YAML with the providers' ports and the values in it, and start the proxy."""
    with ExitStack() as stack:
        for provider in providers.values():
            stack.enter_context(background.serving(provider))
        ports = {name: provider.port for name, provider in providers.items()}
        config = folder / "mesh.yaml"
        config.write_text(fill(text, {**ports, **(values or {})}), encoding="utf-8")
        proxy = stack.enter_context(Proxy(setting, config, *options))
        proxy.wait_for_line(r"managing ")  # or the log, with the findings, is shown
        yield Mesh(proxy, providers, stack.enter_context(http_client(proxy)))


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with the values in place of their names in angle brackets; KeyError for a name without one."""
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)


def named(*names: str) -> dict[str, Provider]:
    """Providers without TLS whose answers are their names."""
    return {name: Provider(respond(200, name.encode(), (("x-from", name),))) for name in names}


class Gate:
    """A behaviour that keeps requests to `/long` waiting until it is opened."""

    def __init__(self, background: Background, otherwise: Behaviour) -> None:
        self.waiting = 0
        self._background = background
        self._otherwise = otherwise
        self._opened = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        """Wait if need be, then answer."""
        if exchange.request.path == "/long":
            self.waiting += 1
            await self._opened.wait()
        await self._otherwise(exchange)

    def open(self) -> None:
        """Let those who wait, and all who come after them, have their answers."""
        self._background.call(self._opened.set)
