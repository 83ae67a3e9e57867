"""What a check says: one line for the person who wrote the YAML."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps the configuration from loading; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place. `hint` says what to write instead; `code` is stable."""

    file: str
    line: int | None
    resource: str
    field: str
    problem: str
    hint: str
    code: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f" ({self.hint})" if self.hint else ""
        where = [part for part in (place, self.resource, self.field) if part]
        text = f"{': '.join([*where, self.problem])}{hint} [{self.code}]"
        return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of them keeps the configuration from loading."""
    return any(finding.severity is Severity.ERROR for finding in findings)
