"""What single fields accept, kind by kind."""

from typing import Any

import pytest
from pydantic import ValidationError

from llm_fallback.resources import KINDS
from llm_fallback.resources.base import Expanded
from llm_fallback.resources.destinationrule import ClientTlsSettings
from llm_fallback.resources.llmprovider import LLMProviderSpec, OpenAIConfig
from llm_fallback.resources.llmroute import LLMRouteSpec
from llm_fallback.resources.serviceentry import ServicePort
from llm_fallback.resources.virtualservice import HTTPRoute, VirtualServiceSpec

ROUTE: list[dict[str, Any]] = [{"route": [{"destination": {"host": "a.com"}}]}]


def test_the_kinds_and_their_versions() -> None:
    """ASM's two, Istio's three in all versions that a cluster may serve, and one of ours."""
    istio = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")

    assert {name: kind.API_VERSIONS for name, kind in KINDS.items()} == {
        "LLMProvider": ("istio.alibabacloud.com/v1beta1",),
        "LLMRoute": ("istio.alibabacloud.com/v1beta1",),
        "LLMFallbackPolicy": ("llmfallback.io/v1alpha1",),
        "VirtualService": istio,
        "DestinationRule": istio,
        "ServiceEntry": istio,
    }


@pytest.mark.parametrize("path", ["/", "/v1/chat/completions", "/a%20b", "/v1:generate"])
def test_paths(path: str) -> None:
    """A path as it is sent."""
    assert LLMProviderSpec.model_validate({"host": "a.com", "path": path}).path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1",
        "http://a.com/v1",
        "/a b",
        "/a?b=1",
        "/a#b",
        "/模型",
        "/a\n",
        "/a\r\nX-Injected: 1",
        "/a\x00",
        1,
    ],
)
def test_what_is_no_path(path: object) -> None:
    """Nothing that could end the request line, or that would be cut off."""
    with pytest.raises(ValidationError, match="path"):
        LLMProviderSpec.model_validate({"host": "a.com", "path": path})


@pytest.mark.parametrize(
    "key", ["", " ", " k", "k ", "k\n", "k\r\nX-Injected: 1", "k\x00", "schlüssel", "k\u2028"]
)
def test_what_is_no_key(key: str) -> None:
    """Nothing that could end a header; and the text of the error does not hold it."""
    with pytest.raises(ValidationError, match="a key is printable ASCII") as caught:
        OpenAIConfig.model_validate({"apiKey": f"s3cret{key}" if key.strip() else key})

    assert "s3cret" not in str(caught.value)


def test_a_key_is_kept_secret() -> None:
    """Its value has to be asked for."""
    config = OpenAIConfig.model_validate({"apiKey": "s3cret"})

    assert config.api_key is not None
    assert config.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("gateways", "is_for_sidecars"),
    [([], True), (["mesh"], True), (["mesh", "shop/front"], True), (["shop/front"], False)],
)
def test_gateways(gateways: list[str], is_for_sidecars: bool) -> None:  # noqa: FBT001
    """Rules for other gateways only do not act on sidecars, for which the proxy stands."""
    spec = {"hosts": ["a.com"], "http": ROUTE, "gateways": gateways}

    assert VirtualServiceSpec.model_validate(spec).is_for_sidecars is is_for_sidecars


@pytest.mark.parametrize("mode", ["simple", "", None])
def test_what_is_no_mode_of_tls(mode: object) -> None:
    """Modes are written in capitals."""
    with pytest.raises(ValidationError, match="DISABLE"):
        ClientTlsSettings.model_validate({"mode": mode})


def test_empty_texts_are_unset() -> None:
    """As everywhere in Istio's API."""
    tls = ClientTlsSettings.model_validate({"mode": "SIMPLE", "sni": "", "caCertificates": ""})

    assert (tls.sni, tls.ca_certificates) == (None, None)


@pytest.mark.parametrize(
    ("rule", "share"),
    [
        ({}, 100.0),
        ({"mirrorPercent": 5}, 5.0),
        ({"mirrorPercentage": {"value": 0.5}, "mirrorPercent": 5}, 0.5),
        ({"mirrorPercentage": {}}, 0.0),
    ],
)
def test_the_share_that_is_copied(rule: dict[str, Any], share: float) -> None:
    """All, unless it is said; the newer of two fields counts."""
    assert HTTPRoute.model_validate({**ROUTE[0], **rule}).mirror_share == share


@pytest.mark.parametrize(("written", "protocol"), [("http", "HTTP"), ("Grpc-Web", "GRPC-WEB"), ("", "HTTP")])
def test_protocols_in_any_case(written: str, protocol: str) -> None:
    """Istio does not tell capitals from small letters here."""
    port = ServicePort.model_validate({"number": 80, "name": "a", "protocol": written})

    assert port.protocol.value == protocol


def test_a_protocol_from_the_environment_stays_one() -> None:
    """So that a wrong one is not shown."""
    with pytest.raises(ValidationError) as caught:
        ServicePort.model_validate({"number": 80, "name": "a", "protocol": Expanded("s3cret")})

    (error,) = caught.value.errors()
    assert isinstance(error["input"], Expanded)


def test_an_llm_routes_rules() -> None:
    """Header conditions, and providers by weight."""
    spec = LLMRouteSpec.model_validate(
        {
            "host": "a.com",
            "rules": [
                {"name": "vip", "matches": [{"headers": VIP}], "backendRefs": TWO},
                {"backendRefs": [{"providerHost": "b.com"}]},
            ],
        }
    )

    vip, other = spec.rules
    assert vip.matches[0].headers["user-type"].exact == "subscriber"
    assert [(ref.provider_host, ref.weight, ref.host_rewrite) for ref in vip.backend_refs] == [
        ("b.com", 50, None),
        ("c.com", 50, "d.com"),
    ]
    assert (other.name, other.matches, other.backend_refs[0].weight) == ("", [], None)


VIP = {"user-type": {"exact": "subscriber"}}
TWO = [
    {"providerHost": "b.com", "weight": 50},
    {"providerHost": "c.com", "weight": 50, "hostRewrite": "d.com"},
]


@pytest.mark.parametrize("rules", [[], [{}], [{"backendRefs": []}], [{"backendRefs": [{"weight": 1}]}]])
def test_what_is_no_llm_route(rules: list[Any]) -> None:
    """Every rule sends its requests somewhere."""
    with pytest.raises(ValidationError):
        LLMRouteSpec.model_validate({"host": "a.com", "rules": rules})


def test_a_provider_may_be_called_otherwise_for_a_rule() -> None:
    """By the name of an LLMRoute's rule."""
    spec = LLMProviderSpec.model_validate(
        {"host": "a.com", "configs": {"routeSpecificConfigs": {"vip": {"openAIConfig": {"model": "big"}}}}}
    )

    assert spec.configs.route_specific_configs["vip"].open_ai_config.model == "big"
