"""The scenarios that people thought of."""

from tests.parity.scenario import Scenario
from tests.parity.scenarios import answers, detection, limits, retries, routes, several, timeouts, tls

_MODULES = (detection, retries, timeouts, limits, routes, several, answers, tls)
SCENARIOS: tuple[Scenario, ...] = tuple(s for module in _MODULES for group in module.GROUPS for s in group())
