"""A VirtualService is judged as Istio judges it, by its own published cases."""

import pytest

from tests.config.istio import Case, judge, parameters
from tests.config.istio_httproute import ANSWERS, CORS, FAULTS, HEADERS, MIRRORS, RETRIES, REWRITES
from tests.config.istio_virtualservice import DESTINATIONS, MATCHES, SERVICES


@pytest.mark.parametrize("case", parameters(SERVICES, MATCHES, DESTINATIONS))
def test_hosts_matches_and_destinations(case: Case) -> None:
    judge("VirtualService", case)


@pytest.mark.parametrize("case", parameters(HEADERS, CORS, FAULTS, RETRIES, REWRITES, ANSWERS, MIRRORS))
def test_what_a_rule_does(case: Case) -> None:
    judge("VirtualService", case)
