"""What a check says: one line for the person who wrote the YAML."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from llm_fallback.wording import printable

_MAX_SHOWN_CHARACTERS = 300


class Severity(StrEnum):
    """An error keeps the configuration from loading; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Code(StrEnum):
    """Every kind of finding; docs/findings.md explains each. A code never changes its meaning."""

    DEPRECATED = "deprecated"
    DUPLICATE_HOST = "duplicate-host"
    DUPLICATE_KEY = "duplicate-key"
    DUPLICATE_POLICY = "duplicate-policy"
    DUPLICATE_RESOURCE = "duplicate-resource"
    FALLBACK_CYCLE = "fallback-cycle"
    GENERATED_RULE = "generated-rule"
    INVALID_VALUE = "invalid-value"
    INVALID_VARIABLE = "invalid-variable"
    MESH_VERSION = "mesh-version"
    MISSING_FIELD = "missing-field"
    MISSING_VARIABLE = "missing-variable"
    NEVER_EJECTS = "never-ejects"
    NO_CONFIGURATION = "no-configuration"
    NO_DETECTOR = "no-detector"
    NO_EFFECT = "no-effect"
    NO_ENDPOINTS = "no-endpoints"
    NO_KEY = "no-key"
    NO_TLS = "no-tls"
    NOT_FOR_US = "not-for-us"
    NOT_MANAGED = "not-managed"
    OUT_OF_RANGE = "out-of-range"
    OUT_OF_REACH = "out-of-reach"
    PANIC_THRESHOLD = "panic-threshold"
    PLAIN_PORT = "plain-port"
    REPLACED_POLICY = "replaced-policy"
    SHADOWED_HOST = "shadowed-host"
    SHADOWED_RULE = "shadowed-rule"
    SKIPPED = "skipped"
    STRICTER_NAME_CHECK = "stricter-name-check"
    TOO_LARGE = "too-large"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_HOST = "unknown-host"
    UNKNOWN_KIND = "unknown-kind"
    UNKNOWN_PORT = "unknown-port"
    UNKNOWN_RULE = "unknown-rule"
    UNKNOWN_SUBSET = "unknown-subset"
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_VERSION = "unknown-version"
    UNLIKE_MESH = "unlike-mesh"
    UNREACHABLE_ROUTE = "unreachable-route"
    UNREADABLE_FILE = "unreadable-file"
    UNRENDERED_TEMPLATE = "unrendered-template"
    UNSUPPORTED_FIELD = "unsupported-field"
    UNSUPPORTED_KIND = "unsupported-kind"
    UNSUPPORTED_VALUE = "unsupported-value"
    WRONG_TYPE = "wrong-type"
    YAML_SYNTAX = "yaml-syntax"
    ZERO_WEIGHT = "zero-weight"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place. `hint` says what to write instead."""

    file: str
    line: int | None
    resource: str
    field: str
    problem: str
    hint: str
    code: Code
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return self._line("")

    @property
    def with_severity(self) -> str:
        """As `str`, and after the place how severe it is, unless it is an error: compilers' way."""
        return self._line("" if self.severity is Severity.ERROR else self.severity.value)

    def _line(self, severity: str) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f" ({_brief(self.hint)})" if self.hint else ""
        where = [_brief(part) for part in (place, severity, self.resource, self.field) if part]
        text = f"{': '.join([*where, _brief(self.problem)])}{hint} [{self.code}]"
        return printable(text)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of them keeps the configuration from loading."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted by file and line, the worst first where several are at one line; each said once."""
    severities = list(Severity)
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda f: (f.file, f.line or 0, severities.index(f.severity), f.field, f.code),
        )
    )


def _brief(text: str) -> str:
    """Not more than a person reads: names in a file may be megabytes long."""
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}..."
