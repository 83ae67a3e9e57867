"""Which configuration is in force, for whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_fallback.config.findings import Finding


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a configuration comes from; `workload` are the labels of the one that the proxy stands for."""

    paths: tuple[Path, ...] = ()
    workload: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which configuration is in force, and what came of the last attempt to load one.

    `loaded_at` is the wall time, in seconds, at which the one in force was read; None before the first. The
    `findings` are those of the last attempt. With `is_current` False that had errors, and replaced nothing.
    """

    sources: Sources = Sources()
    loaded_at: float | None = None
    findings: tuple[Finding, ...] = ()
    is_current: bool = False
