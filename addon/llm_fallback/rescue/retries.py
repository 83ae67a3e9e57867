"""What a policy leaves of a rule's retries. Pure."""

import re
from dataclasses import replace

from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Retries

_ASKS_FOR_STREAM = re.compile(rb'"stream"\s*:\s*true')


def asks_for_stream(body: bytes) -> bool:
    """Whether the answer to a request is to come token by token."""
    return bool(_ASKS_FOR_STREAM.search(body))


def retries_at(endpoints: int, retries: Retries, policy: RescuePolicy, body: bytes) -> Retries:
    """The rule's retries at a target, as far as there are endpoints that have not been tried; then the next.

    A stream's first token comes after its headers; another answer's headers come when it is complete.
    """
    limits = policy.limits
    headers_s = min(limits.response_headers_s, retries.per_try_timeout_s or limits.response_headers_s)
    per_try = min(headers_s, limits.first_token_s) if asks_for_stream(body) else headers_s
    attempts = min(retries.attempts, max(0, endpoints - 1))
    return replace(retries, attempts=attempts, per_try_timeout_s=per_try, avoid_tried=True)
