"""What single fields accept, kind by kind."""

import pytest
from pydantic import ValidationError

from llm_fallback.resources import KINDS
from llm_fallback.resources.destinationrule import ClientTlsSettings
from llm_fallback.resources.llmprovider import LLMProviderSpec, OpenAIConfig
from llm_fallback.resources.virtualservice import VirtualServiceSpec

ROUTE = [{"route": [{"destination": {"host": "a.com"}}]}]


def test_the_kinds_and_their_versions() -> None:
    """ASM's provider, and Istio's three in all versions that a cluster may serve."""
    istio = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")

    assert {name: kind.API_VERSIONS for name, kind in KINDS.items()} == {
        "LLMProvider": ("istio.alibabacloud.com/v1beta1",),
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


@pytest.mark.parametrize("gateways", [[], ["istio-system/ingress"], ["mesh", "other"]])
def test_gateways_are_not_supported(gateways: list[str]) -> None:
    """A route for gateways only would not act on sidecars, for which the proxy stands."""
    with pytest.raises(ValidationError, match="only the gateway 'mesh'"):
        VirtualServiceSpec.model_validate({"hosts": ["a.com"], "http": ROUTE, "gateways": gateways})


@pytest.mark.parametrize("mode", ["MUTUAL", "ISTIO_MUTUAL", "simple", "", None])
def test_tls_modes_that_are_not_supported(mode: object) -> None:
    """Client certificates are not, and modes are written in capitals."""
    with pytest.raises(ValidationError, match="DISABLE"):
        ClientTlsSettings.model_validate({"mode": mode})
