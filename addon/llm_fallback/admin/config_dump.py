"""What was compiled, in the form of Envoy's `/config_dump`, without its credentials. Pure.

What nobody has set is left out.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import singledispatch
from typing import Any

from pydantic import SecretStr

from llm_fallback.config.in_force import Configuration
from llm_fallback.config.routes import (
    DirectResponse,
    HeaderOperations,
    Match,
    StringMatch,
)
from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.outlier import Endpoint
from llm_fallback.redaction import REDACTED, is_credential, redact_query, redact_value
from llm_fallback.resources.base import Expanded
from llm_fallback.status import cluster_name
from llm_fallback.wording import moment

_TYPE = "type.llmfallback.io"


def config_dump(known: Configuration, snapshot: Snapshot) -> dict[str, Any]:
    """The rules and the targets in force."""
    loaded = {} if known.loaded_at is None else {"last_updated": moment(known.loaded_at)}
    return {
        "configs": [
            {
                "@type": f"{_TYPE}/RoutesConfigDump",
                **loaded,
                "virtual_hosts": [
                    {"name": host.name, "domains": [domain], "routes": _plain(host.routes)}
                    for domain, host in snapshot.host_patterns.items()
                ],
            },
            {
                "@type": f"{_TYPE}/ClustersConfigDump",
                **loaded,
                "clusters": [_cluster(target) for target in snapshot.targets()],
            },
        ]
    }


def _cluster(target: Target) -> dict[str, Any]:
    return {"name": cluster_name(target.key), **_of_fields(target)}


@singledispatch
def _plain(value: Any) -> Any:
    """The value as what JSON knows."""
    return _of_fields(value) if is_dataclass(value) else redact_query(str(value))


def _of_fields(value: Any) -> dict[str, Any]:
    named = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: _plain(inner) for name, inner in named.items() if not _is_unset(inner)}


def _is_unset(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, tuple | str | Mapping) and not value)


@_plain.register(bool)
@_plain.register(int)
@_plain.register(float)
def _number(value: float) -> float:
    return value


@_plain.register(Enum)
def _enum(value: Enum) -> Any:
    return value.value


@_plain.register(Expanded)
@_plain.register(SecretStr)
def _secret(_: Any) -> str:
    return REDACTED


@_plain.register(Endpoint)
def _endpoint(value: Endpoint) -> str:
    return str(value)


@_plain.register(tuple)
def _list(value: tuple[Any, ...]) -> list[Any]:
    return [_plain(inner) for inner in value]


@_plain.register(frozenset)
def _sorted(value: frozenset[Any]) -> list[Any]:
    return sorted(value)


@_plain.register(Mapping)
def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _plain(inner) for name, inner in value.items()}


@_plain.register(HeaderOperations)
def _operations(value: HeaderOperations) -> dict[str, Any]:
    changes = {"set": value.set, "add": value.add}
    shown: dict[str, Any] = {
        name: [[header, redact_value(header, text)] for header, text in change]
        for name, change in changes.items()
        if change
    }
    return {**shown, **({"remove": list(value.remove)} if value.remove else {})}


@_plain.register(StringMatch)
def _condition(value: StringMatch) -> dict[str, Any]:
    ignores = {"ignore_case": True} if value.ignore_case else {}
    return {str(value.type): _plain(value.value) if value.value else True, **ignores}


@_plain.register(Match)
def _match(value: Match) -> dict[str, Any]:
    """Conditions on what may hold a secret are without their values."""
    shown = _of_fields(value)
    for field in ("headers", "without_headers", "query_params"):
        for name in shown.get(field, ()):
            if is_credential(name):
                shown[field][name] = REDACTED
    return shown


@_plain.register(DirectResponse)
def _direct_response(value: DirectResponse) -> dict[str, Any]:
    body = REDACTED if value.is_secret else value.body.decode(errors="replace")
    return {"status": value.status, **({"body": body} if value.body else {})}
