"""What other programs read of events: the access log, the ejection log, OpenTelemetry."""

from llm_fallback.telemetry.reporters import BadTelemetryError, Reporters

__all__ = ["BadTelemetryError", "Reporters"]
