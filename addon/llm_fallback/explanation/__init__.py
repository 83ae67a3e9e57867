"""What would happen to a request, and why, told without sending it. Pure.

Every decision is asked of the functions that the proxy itself asks, in the order in which it asks them
(`upstream/exchange.py`), so that an explanation cannot differ from what happens.
"""

from llm_fallback.explanation.explain import explain
from llm_fallback.explanation.model import Explanation, places_of
from llm_fallback.explanation.text import as_text
from llm_fallback.explanation.values import as_data

__all__ = ["Explanation", "as_data", "as_text", "explain", "places_of"]
