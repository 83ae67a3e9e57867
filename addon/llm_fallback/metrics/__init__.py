"""What is counted of events, and how it is read, under the names that Envoy and Istio have for it."""

from llm_fallback.metrics.counting import Metrics
from llm_fallback.metrics.reading import Stat, stats
from llm_fallback.metrics.text import CONTENT_TYPE, prometheus, stats_text

__all__ = ["CONTENT_TYPE", "Metrics", "Stat", "prometheus", "stats", "stats_text"]
