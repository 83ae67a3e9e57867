"""A primary, a fallback and a policy, behind one proxy."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.mesh import Host
from tests.support.policies import policy, write_rescued
from tests.support.provider import Behaviour, Provider
from tests.support.proxy import Proxy, Setting

PRIMARY, FALLBACK, THIRD = "primary.test", "fallback.test", "third.test"
URL = f"http://{PRIMARY}/v1/chat/completions"
STREAM = b'{"messages":[{"role":"user","content":"hi"}],"stream":true}'
WHOLE = b'{"messages":[{"role":"user","content":"hi"}]}'
SAID_BY_FALLBACK = "The fallback says so."


@dataclass(frozen=True, slots=True)
class Targets:
    """The proxy, and the providers behind it."""

    proxy: Proxy
    primary: Provider
    fallback: Provider
    third: Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """How the primary's and the other hosts are configured, and what the policy says."""

    primary: Behaviour
    fallback: Behaviour = field(default_factory=lambda: answers.good(SAID_BY_FALLBACK))
    third: Behaviour = field(default_factory=lambda: answers.good("The third says so."))
    threshold: int | None = None
    ejection: str = "300s"
    keys: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    streams: dict[str, bool] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)


@contextmanager
def rescuing(
    mesh: Mesh, background: Background, authority: Authority, setting: Setting, folder: Path, *options: str
) -> Iterator[Targets]:
    """Serve and start the proxy."""
    said = {PRIMARY: mesh.primary, FALLBACK: mesh.fallback, THIRD: mesh.third}
    providers = {name: Provider(behaviour, authority.issue(name)) for name, behaviour in said.items()}
    with ExitStack() as stack:
        for provider in providers.values():
            stack.enter_context(background.serving(provider))
        hosts = [
            Host(
                name=name,
                port=provider.port,
                key=mesh.keys.get(name),
                model=mesh.models.get(name, "a-model"),
                stream=mesh.streams.get(name),
                threshold=mesh.threshold,
                ejection=mesh.ejection if name == PRIMARY else "300s",
                fallback=FALLBACK if name == PRIMARY else None,
            )
            for name, provider in providers.items()
        ]
        config = write_rescued(folder / "mesh", hosts, policy("primary", **mesh.spec))
        proxy = stack.enter_context(Proxy(setting, config, *options))
        yield Targets(proxy, *providers.values())
