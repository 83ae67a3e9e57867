"""The scenarios that people thought of."""

from tests.parity.scenario import Scenario
from tests.parity.scenarios import answers, detection, limits, retries, routes, several, timeouts

_MODULES = (detection, retries, timeouts, limits, routes, several, answers)
SCENARIOS: tuple[Scenario, ...] = tuple(s for module in _MODULES for group in module.GROUPS for s in group())
