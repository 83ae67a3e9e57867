"""Telemetry that is told before the proxy ends, however busy the machine is."""

PATIENT_S = 15.0
PATIENT = f"""
from llm_fallback.telemetry import background

background._MAX_SECONDS_TO_END = {PATIENT_S}
"""
"""A script for the proxy."""
