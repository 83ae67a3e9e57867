"""What was compiled, as values: targets and rules compare by identity."""

from dataclasses import is_dataclass

from llm_fallback.config import Snapshot
from llm_fallback.config.routes import Route
from llm_fallback.config.snapshot import Target
from tests.config.conftest import Load
from tests.config.written import entry, virtual_service


def fields(value: object) -> dict[str, object]:
    """The fields of what compares by identity, those inside of it too."""
    names = getattr(type(value), "__slots__", ())
    return {name: _as_value(getattr(value, name)) for name in names if hasattr(value, name)}


def _as_value(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_value(each) for key, each in value.items()}
    if type(value) is tuple:
        return tuple(map(_as_value, value))
    return fields(value) if is_dataclass(value) and type(value).__eq__ is object.__eq__ else value


def snapshot_of(load_yaml: Load, text: str, *, workload: dict[str, str] | None = None) -> Snapshot:
    """The snapshot of a configuration without errors."""
    loaded = load_yaml(text, workload=workload)
    assert loaded.snapshot is not None, [str(finding) for finding in loaded.findings]
    return loaded.snapshot


def target_of(
    load_yaml: Load, text: str, host: str = "b.com", port: int = 80, subset: str | None = None
) -> Target:
    """One target of a configuration."""
    return snapshot_of(load_yaml, text).services[host].targets[port, subset]


def rules_of(load_yaml: Load, http: str, *, workload: dict[str, str] | None = None) -> tuple[Route, ...]:
    """The rules of a VirtualService for b.com, beside which there is c.com."""
    text = entry("b.com, c.com") + virtual_service("b.com", http=http)
    return snapshot_of(load_yaml, text, workload=workload).virtual_hosts["b.com"].routes


def rule_of(load_yaml: Load, fields: str, *, workload: dict[str, str] | None = None) -> Route:
    """One rule of these fields, to b.com unless they say otherwise."""
    action = "" if any(name in fields for name in ("route:", "redirect:", "directResponse:")) else TO_B
    (rule,) = rules_of(load_yaml, f"[{{{action}{fields}}}]", workload=workload)
    return rule


TO_B = "route: [{destination: {host: b.com}}], "
