"""The JSON Schema that editors use says what the models say, as far as a schema can."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from llm_fallback.config.schema import schema_of_all, schema_of_kind
from llm_fallback.resources import KINDS
from tests.config.conftest import Load
from tests.config.written import entry, openai, provider, rule, to, virtual_service

REPOSITORY = Path(__file__).parents[2]
SCHEMA = schema_of_all()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def errors(text: str) -> list[str]:
    """What the schema says about each document, deepest first."""
    documents = [document for document in yaml.safe_load_all(text) if document is not None]
    found = [jsonschema.exceptions.best_match(VALIDATOR.iter_errors(document)) for document in documents]
    return [error.message for error in found if error]


def test_the_published_schema_is_up_to_date() -> None:
    """`llm-fallback schema > docs/schema.json` makes it so."""
    assert json.loads((REPOSITORY / "docs" / "schema.json").read_text()) == SCHEMA


def test_it_is_a_schema() -> None:
    """Of draft 2020-12, all of it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for kind in KINDS.values():
        schema = schema_of_kind(kind)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["properties"]["kind"] == {"const": kind.__name__}


FILES = sorted((REPOSITORY / "config").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY / "config")))
def test_what_we_publish_fits(file: Path) -> None:
    """And names the schema, in its first line, for editors."""
    text = file.read_text()
    line = text.partition("\n")[0]

    assert line.startswith("# yaml-language-server: $schema=")
    assert (file.parent / line.partition("=")[2]).resolve() == REPOSITORY / "docs" / "schema.json"
    assert errors(text) == []


def test_every_property_is_described_by_a_type() -> None:
    """Pydantic's own names for constraints do not get through, nor what it says of secrets."""
    text = json.dumps(SCHEMA)

    for word in ('"ge":', '"le":', '"gt":', '"writeOnly"', '"password"', "to_camel"):
        assert word not in text


GOOD = [
    pytest.param(provider(configs=openai(apiKey='"${KEY}"', stream="true")), id="key-from-the-environment"),
    pytest.param(entry(ports="[{number: '${PORT}', name: http}]"), id="number-from-the-environment"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 1m30s}}"), id="duration"),
    pytest.param(
        rule(trafficPolicy="{outlierDetection: {interval: '${N}s'}}"), id="duration-from-the-environment"
    ),
    pytest.param(rule(trafficPolicy="{tls: {mode: SIMPLE}}"), id="enum"),
    pytest.param(virtual_service("b.com", http=to("b.com", port=80)), id="route"),
    pytest.param(entry() + "status: {a: [1]}\n", id="status"),
    pytest.param("apiVersion: apps/v1\nkind: Deployment\nspec: 1\n", id="other-kinds"),
    pytest.param("apiVersion: v1\nkind: List\nitems: null\n", id="empty-list"),
    pytest.param(
        "apiVersion: networking.istio.io/v1\nkind: VirtualServiceList\nitems: []\n", id="list-of-one-kind"
    ),
    pytest.param("apiVersion: networking.istio.io/v1\nkind: Gateway\n", id="harmless"),
    pytest.param(rule(trafficPolicy="{connectionPool: {tcp: {idleTimeout: 0s}}}"), id="no-limit"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 1.5s}}"), id="part-of-a-second"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 1.0ms}}"), id="one-millisecond"),
    pytest.param(
        virtual_service("b.com", http="[{route: [], mirrors: [], redirect: {uri: /, redirectCode: 302}}]"),
        id="empty-lists",
    ),
    pytest.param(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\nitems:\n- metadata: {name: a}\n"
        "  spec: {hosts: [a.com], ports: [{number: 80, name: http}]}\n",
        id="item-of-a-list-of-one-kind",
    ),
]
BAD = [
    pytest.param("a: 1\n", id="no-kind"),
    pytest.param(entry().replace("networking.istio.io/v1", "v1"), id="unknown-version"),
    pytest.param(
        "apiVersion: networking.istio.io/v1\nkind: VirtualServic\nmetadata: {name: a}\n", id="unknown-kind"
    ),
    pytest.param(entry(endponts="[]"), id="unknown-field"),
    pytest.param(entry(ports="{number: 80}"), id="mapping-for-a-list"),
    pytest.param(entry(ports="[{number: 0, name: http}]"), id="too-small"),
    pytest.param(entry(ports="[{number: 65536, name: http}]"), id="too-large"),
    pytest.param(entry(ports="[{number: '80', name: http}]"), id="text-for-a-number"),
    pytest.param(entry(ports="[{number: 80}]"), id="missing-field"),
    pytest.param(entry(resolution="SOMETIMES"), id="not-one-of"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 10}}"), id="duration-without-unit"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 10d}}"), id="duration-of-days"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {maxEjectionPercent: 101}}"), id="percent"),
    pytest.param(provider(configs=openai(stream="'yes'")), id="text-for-a-boolean"),
    pytest.param(provider(configs=openai(apiKey="1")), id="number-for-a-key"),
    pytest.param(provider(metadata="annotations: {a: 1}"), id="number-for-an-annotation"),
    pytest.param("apiVersion: v1\nkind: List\nitems: [{a: 1}]\n", id="item-of-a-list"),
    pytest.param(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\nitems:\n- metadata: {name: a}\n"
        "  spec: {hosts: [a.com], prots: []}\n",
        id="item-of-a-list-of-one-kind",
    ),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 0s}}"), id="no-time"),
    pytest.param(rule(trafficPolicy="{outlierDetection: {interval: 1.5ms}}"), id="part-of-a-millisecond"),
    pytest.param(rule(trafficPolicy="{}"), id="empty-policy"),
    pytest.param(rule(trafficPolicy="{connectionPool: {}}"), id="empty-pool"),
    pytest.param(
        rule(trafficPolicy="{portLevelSettings: [{port: {number: 80}}]}"), id="empty-entry-of-a-port"
    ),
    pytest.param(
        rule(trafficPolicy="{tls: {mode: MUTUAL, clientCertificate: a.pem}}"), id="certificate-without-key"
    ),
    pytest.param(
        rule(trafficPolicy="{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}"),
        id="two-ways-to-balance",
    ),
    pytest.param(virtual_service("b.com", http="[{}]"), id="no-action"),
    pytest.param(
        virtual_service("b.com", http="[{redirect: {uri: /}, directResponse: {status: 200}}]"),
        id="two-actions",
    ),
    pytest.param(
        virtual_service("b.com", http="[{redirect: {uri: /, redirectCode: 200}}]"), id="no-code-of-a-redirect"
    ),
    pytest.param(
        virtual_service(
            "b.com",
            http="[{route: [{destination: {host: b.com}}], mirror: {host: b.com},"
            " mirrors: [{destination: {host: b.com}}]}]",
        ),
        id="two-kinds-of-mirrors",
    ),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_fits(load_yaml: Load, text: str) -> None:
    """It fits the models, too."""
    loaded = load_yaml(text, environment={"KEY": "k", "PORT": "80", "N": "1"})
    wrong = {
        "invalid-value",
        "wrong-type",
        "unknown-field",
        "missing-field",
        "out-of-range",
        "unknown-version",
    }

    assert errors(text) == []
    assert wrong.isdisjoint(finding.code for finding in loaded.findings)


@pytest.mark.parametrize("text", BAD)
def test_what_does_not_fit(load_yaml: Load, text: str) -> None:
    """Neither the schema nor the models take it."""
    assert len(errors(text)) == 1
    assert load_yaml(text).snapshot is None


def _without_kinds(kind: str) -> dict[str, Any]:
    return {"apiVersion": KINDS[kind].API_VERSIONS[0], "kind": kind, "metadata": {"name": "a"}}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_schema_of_a_kind_is_the_one_among_all(kind: str) -> None:
    """A resource without its spec fits neither."""
    alone = jsonschema.Draft202012Validator(schema_of_kind(KINDS[kind]))
    resource = _without_kinds(kind)

    assert [error.message for error in alone.iter_errors(resource)] == ["'spec' is a required property"]
    assert [error.message for error in VALIDATOR.iter_errors(resource)] == ["'spec' is a required property"]
