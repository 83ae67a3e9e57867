"""Checks over the whole configuration: one function, one question.

A field's own type and range are checked where the field is declared, in `resources`.
"""

from collections.abc import Callable, Iterator, Sequence

from llm_fallback.config.checks import claims, effects, hosts, tls
from llm_fallback.config.collection import Collection
from llm_fallback.config.findings import Finding

_QUESTIONS: Sequence[Callable[[Collection], Iterator[Finding]]] = (
    claims.names_are_unique,
    claims.provider_hosts_are_unique,
    claims.entry_hosts_are_unique,
    claims.oldest_virtual_service_wins,
    claims.first_destination_rule_wins,
    hosts.destinations_exist,
    hosts.virtual_service_hosts_are_meant,
    hosts.rules_have_a_host,
    effects.deprecated_thresholds_have_an_effect,
    effects.weights_send_somewhere,
    effects.rules_can_be_reached,
    effects.fallback_cases_have_an_effect,
    effects.rules_of_providers_count,
    tls.authorities_can_be_read,
    tls.names_are_checked_alike,
    tls.keys_travel_encrypted,
)


def check(collection: Collection) -> list[Finding]:
    """Everything that is wrong with the configuration as a whole."""
    return [finding for question in _QUESTIONS for finding in question(collection)]
