"""Checks over the whole configuration: one function, one question.

A field's own type and range are checked where the field is declared, in `resources`.
"""

from collections.abc import Callable, Iterator, Sequence

from llm_fallback.config.checks import (
    audience,
    claims,
    detection,
    effects,
    entries,
    fallbacks,
    hosts,
    policies,
    providers,
    reach,
    rescues,
    tls,
    versions,
)
from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.collection import Collection
from llm_fallback.config.findings import Finding

_QUESTIONS: Sequence[Callable[[Configuration], Iterator[Finding]]] = (
    claims.names_are_unique,
    claims.provider_hosts_are_unique,
    claims.entry_ports_are_unique,
    claims.llm_route_hosts_are_unique,
    claims.oldest_virtual_service_wins,
    claims.first_destination_rule_wins,
    claims.first_subset_wins,
    claims.targets_have_one_policy,
    hosts.destinations_exist,
    hosts.backends_exist,
    hosts.links_exist,
    hosts.ruled_hosts_are_meant,
    hosts.names_are_whole,
    hosts.policies_have_a_host,
    hosts.policies_have_a_port,
    entries.wildcards_are_passed_through,
    entries.entries_have_ports,
    entries.addresses_are_passed_through,
    entries.entries_have_endpoints,
    entries.subsets_have_endpoints,
    providers.configs_have_a_rule,
    providers.configs_keep_the_key,
    providers.keys_come_last,
    providers.chats_stay_chats,
    providers.entries_lead_to_a_tls_port,
    policies.port_entries_keep_what_stands,
    policies.ports_have_one_entry,
    policies.hashes_have_a_subject,
    policies.destinations_hash_alike,
    policies.rules_of_providers_count,
    policies.tables_are_not_too_large,
    policies.annotations_are_understood,
    detection.thresholds_can_be_reached,
    detection.gateway_errors_come_first,
    detection.local_failures_are_counted,
    detection.few_endpoints_can_be_ejected,
    detection.ejected_endpoints_are_avoided,
    fallbacks.fallbacks_can_act,
    fallbacks.fallbacks_find_nobody_left,
    fallbacks.fallbacks_are_of_use,
    fallbacks.fallbacks_lead_elsewhere,
    fallbacks.fallbacks_end,
    fallbacks.cases_have_an_effect,
    reach.weights_send_somewhere,
    reach.rules_can_be_reached,
    reach.conditions_can_hold,
    effects.tries_can_time_out,
    effects.retries_can_begin,
    effects.answers_need_no_target,
    effects.conditions_are_asked,
    effects.origins_are_allowed,
    effects.faults_happen,
    effects.mirrors_get_copies,
    effects.framing_is_left_alone,
    rescues.targets_exist,
    rescues.sections_exist,
    rescues.policies_rescue_something,
    rescues.links_are_asked_once,
    rescues.weights_are_shared,
    rescues.attempts_reach_every_target,
    rescues.limits_come_before_the_deadline,
    rescues.budgets_allow_something,
    audience.routes_are_for_sidecars,
    audience.rules_are_for_the_workload,
    audience.resources_are_shown,
    audience.selectors_select_the_workload,
    versions.fields_are_of_the_version,
    tls.authorities_can_be_read,
    tls.client_certificates_can_be_read,
    tls.modes_are_written,
    tls.modes_use_what_is_given,
    tls.names_are_checked_alike,
    tls.keys_travel_encrypted,
)


def check(collection: Collection, workload: dict[str, str] | None = None) -> list[Finding]:
    """Everything that is wrong with the configuration as a whole.

    `workload` holds the labels of the workload that the proxy stands for, None if nobody said.
    """
    configuration = Configuration(collection, workload)
    return [finding for question in _QUESTIONS for finding in question(configuration)]
