"""Who is told of events besides people: the access log, the ejection log, OpenTelemetry."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, assert_never

from llm_fallback.events import Acted, Ejected, Event, Handled, Returned
from llm_fallback.telemetry import access_log
from llm_fallback.telemetry.background import Background
from llm_fallback.telemetry.ejection_log import EjectionLog
from llm_fallback.telemetry.lines import Lines, reason


class BadTelemetryError(Exception):
    """What was asked for cannot be; the message is one sentence that begins with the option's name."""


class Reporters:
    """Takes events for whoever is set; none is at first.

    `wall_clock` tells the seconds since 1970. A setting that fails leaves the one before, and raises
    BadTelemetryError.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._access: Lines | None = None
        self._ejections: Lines | None = None
        self._ejection_log = EjectionLog()
        self._otel: Background | None = None

    def set_access_log(self, path: str) -> None:
        """Write a line for each request to the file, `-` for standard output; empty: nowhere."""
        self._access = _switched(self._access, path, "llm_access_log")

    def set_ejection_log(self, path: str) -> None:
        """Write a line for each ejection and return, likewise."""
        self._ejections = _switched(self._ejections, path, "llm_ejection_log")

    def set_otel(self, environ: Mapping[str, str] | None) -> None:
        """Tell OpenTelemetry of requests, as the OTEL_ variables of the environment say; None: not."""
        made = None if environ is None else _opentelemetry(environ)
        if self._otel:
            self._otel.close()
        self._otel = made

    def take(self, event: Event) -> None:
        """Tell everybody whom it concerns."""
        match event:
            case Handled():
                if self._access:
                    self._access.add(access_log.as_entry(event))
                if self._otel:
                    self._otel.take(event)
            case Ejected() | Returned():
                if self._ejections and (entry := self._ejection_log.entry(event, at_s=self._wall_clock())):
                    self._ejections.add(entry)
            case Acted():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Let go of files, and send what is left to send; takes two seconds at most."""
        self.set_access_log("")
        self.set_ejection_log("")
        self.set_otel(None)


def _switched(before: Lines | None, path: str, option: str) -> Lines | None:
    try:
        made = Lines(path, option) if path else None
    except OSError as error:
        raise BadTelemetryError(f"{option}: {path} cannot be written: {reason(error)}") from None
    if before:
        before.close()
    return made


def _opentelemetry(environ: Mapping[str, str]) -> Background | None:
    """None if OTEL_SDK_DISABLED."""
    try:
        otel: Any = import_module("llm_fallback.telemetry.otel")
    except ImportError as error:
        raise BadTelemetryError(
            f"llm_otel: OpenTelemetry is not installed ({error.name}); "
            "install it with: pip install 'asm-llm-fallback[otel]'"
        ) from None
    try:
        outputs = otel.outputs_of(environ)
    except otel.BadEnvironmentError as error:
        raise BadTelemetryError(f"llm_otel: {error}") from None
    if outputs == otel.Outputs():
        return None
    return Background(otel.OpenTelemetry(outputs, environ), "llm_otel")
