"""Fields with nothing behind them."""

import pytest

from tests.config.conftest import Load
from tests.config.written import entry, provider, rule, virtual_service

HOST = entry("a.com", name="a")
ROUTE = "[{{route: [{{destination: {{host: a.com}}{more}}}]{rest}}}]"
SAID = (
    "there is nothing behind it: it is taken as if it were not there"
    " (write what it should say, one level further in, or remove it) [no-effect]"
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param(
            virtual_service("a.com", http=ROUTE.format(more="", rest=", match: ")),
            "14: warning: VirtualService/vs: spec.http[0].match",
            id="list",
        ),
        pytest.param(
            virtual_service("a.com", http=ROUTE.format(more=", fallback: ", rest="")),
            "14: warning: VirtualService/vs: spec.http[0].route[0].fallback",
            id="mapping",
        ),
        pytest.param(
            virtual_service("a.com", http=ROUTE.format(more="", rest=", timeout: ~")),
            "14: warning: VirtualService/vs: spec.http[0].timeout",
            id="duration",
        ),
        pytest.param(
            rule("a.com", trafficPolicy="{outlierDetection: null, tls: {mode: SIMPLE}}"),
            "14: warning: DestinationRule/b: spec.trafficPolicy.outlierDetection",
            id="null",
        ),
        pytest.param(
            provider("b.com", configs="{defaultConfig: {openAIConfig: {model: , stream: true}}}"),
            "14: warning: LLMProvider/a: spec.configs.defaultConfig.openAIConfig.model",
            id="text",
        ),
    ],
)
def test_they_are_as_if_not_there(load_yaml: Load, text: str, place: str) -> None:
    """As in Kubernetes; whoever wrote one probably meant something."""
    loaded = load_yaml(HOST + text)

    assert f"a.yaml:{place}: {SAID}" in [finding.with_severity for finding in loaded.findings]
    assert loaded.snapshot is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(HOST + "  zzz:\n", "unknown-field", id="unknown-field"),
        pytest.param(entry(hosts=""), "wrong-type", id="required"),
        pytest.param(
            HOST + virtual_service("a.com", http="[null]"),
            "wrong-type",
            id="item",
        ),
        pytest.param(
            HOST + rule("a.com", subsets="[{name: x, labels: {version: }}]"), "wrong-type", id="key"
        ),
        pytest.param("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nspec:\n", None, id="spec"),
    ],
)
def test_where_something_has_to_be(load_yaml: Load, text: str, code: str | None) -> None:
    """It is still an error."""
    loaded = load_yaml(text)

    assert loaded.snapshot is None
    assert code is None or [finding.code for finding in loaded.findings] == [code]
    assert "no-effect" not in {finding.code for finding in loaded.findings}


def test_what_a_cluster_leaves_empty(load_yaml: Load) -> None:
    """Outside of the spec nothing is asked."""
    loaded = load_yaml(entry(metadata="creationTimestamp: null, annotations: ") + "status:\n")

    assert loaded.findings == ()
