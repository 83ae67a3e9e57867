"""All that the web page and `llm-fallback status` show, as plain data; docs/admin.md describes it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from math import isinf
from typing import Any

from llm_fallback import story
from llm_fallback.admin.shown import Shown
from llm_fallback.config.in_force import Configuration
from llm_fallback.config.snapshot import Snapshot, name_of
from llm_fallback.health import ASKED
from llm_fallback.history import STEP_S, Decision, Entry, History, Series
from llm_fallback.routing import find_target
from llm_fallback.status import EndpointStatus, TargetStatus, cluster_name

_HTTP = 80  # where clients call a host that has several ports


def state(shown: Shown) -> dict[str, Any]:
    """How everything is now: without what happened before, which `past` tells."""
    now = shown.wall_clock()
    overrides = shown.overrides
    return {
        "now": now,
        "version": shown.version,
        "started_at": shown.started_at,
        "proxy": list(shown.proxy()),
        "configuration": configuration(shown.configuration()),
        "hosts": list(shown.snapshot().host_patterns),
        "targets": _targets(shown),
        "pins": [{"host": host, "target": name_of(key)} for host, key in overrides.pins.items()],
        "faults": [{"id": each.id, "place": str(each.place), "text": str(each)} for each in overrides.faults],
        "series": _series(shown.history, now),
    }


def past(history: History) -> dict[str, Any]:
    """What happened lately, the newest first."""
    return {
        "timeline": [entry(each) for each in history.timeline()],
        "decisions": [decision(each) for each in history.decisions()],
    }


def configuration(known: Configuration) -> dict[str, Any]:
    """What was read and when, and what was wrong with the last edit."""
    return {
        "sources": [str(path) for path in known.sources.paths],
        "workload": None if known.sources.workload is None else dict(known.sources.workload),
        "loaded_at": known.loaded_at,
        "is_current": known.is_current,
        "findings": [{"severity": str(finding.severity), "text": str(finding)} for finding in known.findings],
    }


def decision(handled: Decision) -> dict[str, Any]:
    """One request that was handled."""
    data = story.as_data(handled.event)
    number, at = str(handled.number), handled.at
    return data | {
        "id": data["id"] or number,
        "at": at if data["at"] is None else data["at"],
        "text": story.summary(handled.event),
    }


def entry(told: Entry) -> dict[str, Any]:
    """One line of the timeline."""
    return told._asdict()


def _targets(shown: Shown) -> list[dict[str, Any]]:
    fallbacks, now = _fallbacks(shown.snapshot()), shown.clock()
    return [
        _target(status, shown.history, now) | {"fallback": fallbacks.get(str(status.target))}
        for status in shown.status()
    ]


@lru_cache(maxsize=1)  # a state is made again and again, a snapshot now and then
def _fallbacks(snapshot: Snapshot) -> Mapping[str, str]:
    """Who stands in for a target, by the first rule that says so."""
    found: dict[str, str] = {}
    for host in (*snapshot.virtual_hosts.values(), *snapshot.wildcards.values()):
        for route in host.routes:
            for each in route.action if isinstance(route.action, tuple) else ():
                target = find_target(snapshot, each.destination, _HTTP)
                fallback = find_target(snapshot, each.fallback, _HTTP) if each.fallback else None
                if target and fallback:
                    found.setdefault(str(target), str(fallback))
    return found


def _target(status: TargetStatus, history: History, now: float) -> dict[str, Any]:
    target = status.target
    return {
        "name": str(target),
        "host": target.host,
        "port": target.port,
        "subset": target.subset,
        "cluster": cluster_name(target.key),
        "tls": target.tls is not None,
        "sni": target.tls.sni if target.tls else None,
        "model": target.provider.default.model if target.provider else None,
        "has_outlier_detection": target.outlier is not None,
        "in_rotation": any(endpoint.is_in_rotation for endpoint in status.endpoints),
        **asdict(history.totals(str(target))),
        "endpoints": [_endpoint(endpoint, now) for endpoint in status.endpoints],
    }


def _endpoint(status: EndpointStatus, now: float) -> dict[str, Any]:
    state, back = status.state, status.returns_at
    return {
        "address": str(status.endpoint),
        "state": status.word,
        "reason": _reason(status),
        "returns_in_s": None if back is None or isinf(back) else max(0.0, back - now),
        "multiplier": state.multiplier if state else 0,
        "in_a_row": {str(reason): number for reason, number in state.in_a_row.items()} if state else {},
        "connections": status.connections,
        "active_requests": status.active_requests,
        "pending_requests": status.pending_requests,
        "weight": status.weight,
    }


def _reason(status: EndpointStatus) -> str | None:
    """Why it is out, where its state does not say so already."""
    if status.state and status.state.ejected_for:
        return str(status.state.ejected_for)
    return ASKED if status.held_until is not None else None


def _series(history: History, now: float) -> Mapping[str, Any]:
    at, series = history.series(now)
    return {
        "step_s": STEP_S,
        "at": at,
        "targets": {name: _figures(of_target) for name, of_target in series.items()},
    }


def _figures(series: Series) -> dict[str, Any]:
    return {
        "requests": series.requests,
        "failures": series.failures,
        "p50_ms": series.p50_ms,
        "p95_ms": series.p95_ms,
    }
