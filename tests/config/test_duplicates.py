"""Resources of one name: in a cluster there is one of them, the one that was applied last."""

from itertools import permutations
from pathlib import Path

import pytest

from llm_fallback.config import load
from llm_fallback.config.routes import RouteDestination
from tests.config.conftest import Load
from tests.config.written import entry, provider, to, virtual_service

TWO = entry("a.com", name="a") + entry("b.com", name="b")
DOUBLED = "(rename one of the two, or remove this one) [duplicate-resource]"


def routed(to_host: str, **more: str) -> str:
    """A VirtualService of a.com, always with one name."""
    return virtual_service("a.com", http=to(to_host), **more)


def destination(folder: Path) -> str:
    """Where requests to a.com go by the rules of a folder."""
    snapshot = load([folder], {}).snapshot
    assert snapshot is not None
    action = snapshot.virtual_hosts["a.com"].routes[0].action
    assert isinstance(action, tuple)
    assert isinstance(action[0], RouteDestination)
    return action[0].destination.host


def test_the_last_one_counts(load_yaml: Load) -> None:
    """As with `kubectl apply`; the one that does not count says which one does."""
    found = load_yaml(TWO + routed("a.com") + routed("b.com")).findings

    assert [finding.with_severity for finding in found] == [
        (
            "a.yaml:18: warning: VirtualService/vs: metadata.name: has no effect:"
            f" a.yaml:23 VirtualService/vs has the same name and comes later {DOUBLED}"
        )
    ]


@pytest.mark.parametrize("order", list(permutations("xyz")))
def test_a_folder_is_applied_by_the_names_of_its_files(tmp_path: Path, order: tuple[str, ...]) -> None:
    """Whatever was written first, it is the last name that counts, and each of the others names it."""
    (tmp_path / "hosts.yaml").write_text(TWO + entry("x.com", name="x") + entry("y.com", name="y"))
    hosts = dict(zip("xyz", ("x.com", "b.com", "y.com"), strict=True))
    for name in order:
        (tmp_path / f"{name}.yaml").write_text(routed(hosts[name]))

    assert destination(tmp_path) == "y.com"
    found = load([tmp_path], {}).findings
    assert [Path(f.file).name for f in found] == ["x.yaml", "y.yaml"]
    assert all(f"{tmp_path / 'z.yaml'}:2 VirtualService/vs" in f.problem for f in found)


def test_what_has_no_effect_is_not_checked_against_the_rest(load_yaml: Load) -> None:
    """Nothing is unreachable, unknown or shadowed in what nobody uses."""
    found = load_yaml(TWO + routed("nobody.net") + entry("a.com", name="a") + routed("b.com")).findings

    assert [(finding.line, finding.code.value, finding.severity.value) for finding in found] == [
        (4, "duplicate-resource", "info"),
        (18, "duplicate-resource", "warning"),
    ]


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param(routed("b.com"), id="same"),
        pytest.param(routed("b.com").replace("istio.io/v1", "istio.io/v1beta1"), id="of-another-version"),
        pytest.param(routed("b.com", metadata="namespace: default"), id="namespace-spelled-out"),
        pytest.param(routed("b.com", metadata="labels: {a: b}"), id="other-labels"),
    ],
)
def test_copies_are_only_noted(load_yaml: Load, copy: str) -> None:
    """Two that say the same are no question of which one counts."""
    loaded = load_yaml(TWO + routed("b.com") + copy)

    assert [finding.with_severity for finding in loaded.findings] == [
        (
            "a.yaml:18: info: VirtualService/vs: metadata.name: is the same as a.yaml:23 VirtualService/vs"
            " (remove one of the two) [duplicate-resource]"
        )
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(provider("b.com", name="a"), id="of-another-kind"),
        pytest.param(entry("c.com", name="a", metadata="namespace: other"), id="in-another-namespace"),
    ],
)
def test_other_resources_of_the_name(load_yaml: Load, other: str) -> None:
    """A name is a kind's and a namespace's."""
    found = load_yaml(entry("a.com", name="a") + other).findings

    assert "duplicate-resource" not in {finding.code for finding in found}


def test_it_keeps_the_place_of_the_first(load_yaml: Load) -> None:
    """Of two VirtualServices for a host the older one has it, and applying it again makes none younger."""
    older, younger = routed("a.com", name="older"), routed("a.com", name="younger")
    loaded = load_yaml(TWO + older + younger + routed("b.com", name="older"))

    assert loaded.snapshot is not None
    assert loaded.snapshot.virtual_hosts["a.com"].name == "VirtualService/older"
    assert [f.resource for f in loaded.findings if f.code == "shadowed-host"] == ["VirtualService/younger"]


def test_a_broken_one_is_an_error_as_before(load_yaml: Load) -> None:
    """Which one counts is not asked of what does not load."""
    loaded = load_yaml(TWO + routed("a.com") + routed("b.com", hots="1"))

    assert loaded.snapshot is None
    assert [finding.code for finding in loaded.findings] == ["unknown-field"]
