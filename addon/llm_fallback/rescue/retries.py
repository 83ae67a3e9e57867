"""What a policy leaves of a rule's retries. Pure."""

from dataclasses import replace

from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target


def retries_at(target: Target, retries: Retries, policy: RescuePolicy) -> Retries:
    """The rule's retries as far as there are endpoints that have not been tried; then the next target."""
    headers = policy.limits.response_headers_s
    per_try = min(headers, retries.per_try_timeout_s or headers)
    others = max(0, len(target.endpoints) - 1)
    attempts = retries.attempts if target.per_address else min(retries.attempts, others)
    return replace(retries, attempts=attempts, per_try_timeout_s=per_try, avoid_tried=True)
