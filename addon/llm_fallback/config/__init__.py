"""Compiled intent: read files, check the whole, build the Snapshot.

`load` is the way in. What people write (`resources`) and what runs (`snapshot`) are two types; between them
stand the checks, which report everything they find as findings and never stop at the first.
"""

from llm_fallback.config.findings import Finding, Severity
from llm_fallback.config.load import Loaded, load
from llm_fallback.config.snapshot import Snapshot

__all__ = ["Finding", "Loaded", "Severity", "Snapshot", "load"]
