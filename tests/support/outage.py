"""What `/api/state` says of a proxy that nobody has asked yet, and of one in the middle of an outage."""

from copy import deepcopy
from typing import Any

NOW = 1795425720.0
PRIMARY, SPARE, LOCAL = "asm-llm-provider-test.com:80", "dashscope.aliyuncs.com:80", "models.internal:8000"

type Data = dict[str, Any]


def endpoint(address: str, **changed: Any) -> Data:
    """An endpoint as `/api/state` tells of it."""
    return {
        "address": address,
        "state": "in rotation",
        "reason": None,
        "returns_in_s": None,
        "multiplier": 0,
        "in_a_row": {},
        "connections": 0,
        "active_requests": 0,
        "pending_requests": 0,
        "weight": 1,
    } | changed


def target(name: str, *endpoints: Data, **changed: Any) -> Data:
    """A target as `/api/state` tells of it."""
    host, port = name.rsplit(":", 1)
    return {
        "name": name,
        "host": host,
        "port": int(port),
        "subset": None,
        "cluster": f"outbound|{port}||{host}",
        "tls": True,
        "sni": host,
        "model": None,
        "has_outlier_detection": True,
        "fallback": None,
        "in_rotation": any(each["state"] == "in rotation" for each in endpoints),
        "requests": 0,
        "failures": 0,
        "fallbacks_away": 0,
        "endpoints": list(endpoints),
    } | changed


def decision(number: int, **changed: Any) -> Data:
    """A decision as `/api/state` tells of it: by default, one that went as it should."""
    at = attempt(SPARE, "203.0.113.7:443", "200", 0.0, 0.42, 200)
    return {
        "id": f"d{number}",
        "at": NOW - number * 1.7,
        "text": f"fallback-route -> {SPARE} | 203.0.113.7:443: 200 in 420 ms",
        "method": "POST",
        "host": "dashscope.aliyuncs.com",
        "path": "/compatible-mode/v1/chat/completions",
        "route": "fallback-route",
        "source": "config/vs.yaml:9",
        "target": SPARE,
        "instead_of": None,
        "result": "answered",
        "attempts": [at],
        "status": 200,
        "flags": [],
        "duration_s": 2.31,
        "first_byte_s": 0.61,
        "model": "qwen1.5-72b-chat",
        "request_model": None,
        "input_tokens": 31,
        "output_tokens": 208,
        "finish_reason": "stop",
        "override": None,
    } | changed


def attempt(
    to: str, address: str | None, result: str, began_s: float, duration_s: float, status: int | None = None
) -> Data:
    """An attempt of a decision; `result` is a status or the word for a failure."""
    return {
        "target": to,
        "endpoint": address,
        "result": result,
        "began_s": began_s,
        "duration_s": duration_s,
        "status": status,
        "failure": None if status else result,
        "lost_after_s": None,
        "model": None,
    }


def empty() -> Data:
    """A proxy that nobody has asked yet."""
    return {
        "now": NOW,
        "version": "0.1.0",
        "started_at": NOW - 5400,
        "proxy": ["127.0.0.1:8080"],
        "configuration": {
            "sources": ["config"],
            "loaded_at": NOW - 5400,
            "is_current": True,
            "findings": [],
        },
        "hosts": ["asm-llm-provider-test.com", "dashscope.aliyuncs.com"],
        "targets": [
            target(PRIMARY, endpoint("asm-llm-provider-test.com:443")),
            target(SPARE, endpoint("dashscope.aliyuncs.com:443"), model="qwen1.5-72b-chat"),
        ],
        "pins": [],
        "faults": [],
        "series": {"step_s": 5, "at": [NOW - 5 * (119 - i) for i in range(120)], "targets": {}},
        "timeline": [],
        "decisions": [],
    }


def outage() -> Data:
    """The primary provider went down a minute and a half ago; the spare one answers for it."""
    state = empty() | {"hosts": ["asm-llm-provider-test.com", "dashscope.aliyuncs.com", "models.internal"]}
    state["targets"] = [
        target(
            PRIMARY,
            endpoint(
                "198.51.100.20:443",
                state="ejected",
                reason="consecutive 5xx",
                returns_in_s=23.4,
                multiplier=3,
                in_a_row={"consecutive 5xx": 1},
            ),
            requests=941,
            failures=9,
            fallbacks_away=118,
            model="qwen-max",
        ),
        target(
            SPARE,
            endpoint("203.0.113.7:443", connections=4, active_requests=3),
            requests=163,
            model="qwen1.5-72b-chat",
        ),
        target(
            LOCAL,
            endpoint("10.0.3.11:8000", connections=2, active_requests=1, weight=2),
            endpoint("10.0.3.12:8000", state="held", reason="429, retry-after 30 s", returns_in_s=17.8),
            endpoint("10.0.3.13:8000", state="ejected by hand"),
            requests=310,
            failures=4,
            tls=False,
            has_outlier_detection=False,
            model="qwen3-32b",
        ),
    ]
    state["faults"] = [{"id": 1, "place": LOCAL, "text": "status 429, 5 %, 12 left"}]
    state["series"]["targets"] = _series()
    state["timeline"] = _timeline()
    state["decisions"] = _decisions()
    return deepcopy(state)


def _series() -> Data:
    wave = [(i * 31 % 7 + i * i * 13 % 11 + i * 17 % 5) / 4 for i in range(120)]
    down, tried = range(101, 120), (101, 102, 105, 112)
    primary = {
        "requests": [5 + round(w) if i not in down else 2 * (i in tried) for i, w in enumerate(wave)],
        "failures": [2 * (i in tried) for i in range(120)],
        "p50_ms": [380.0 + 30 * w if i not in down else None for i, w in enumerate(wave)],
        "p95_ms": [900.0 + 110 * w if i not in down else None for i, w in enumerate(wave)],
    }
    spare = {
        "requests": [6 + round(w) if i in down else int(w > 2.5) for i, w in enumerate(wave)],
        "failures": [0] * 120,
        "p50_ms": [410.0 + 25 * w if i in down or w > 2.5 else None for i, w in enumerate(wave)],
        "p95_ms": [1100.0 + 180 * w if i in down or w > 2.5 else None for i, w in enumerate(wave)],
    }
    local = {
        "requests": [2 + round(w / 2) for w in wave],
        "failures": [int(i in (88, 104, 110, 117)) for i in range(120)],
        "p50_ms": [95.0 + 9 * w for w in wave],
        "p95_ms": [240.0 + 40 * w for w in wave],
    }
    return {PRIMARY: primary, SPARE: spare, LOCAL: local}


def _timeline() -> list[Data]:
    where = f"{PRIMARY} endpoint 198.51.100.20:443"
    told = [
        (3, "fallback", PRIMARY, f"{SPARE} instead of {PRIMARY}, which is ejected (21 requests in 33 s)"),
        (9, "action", LOCAL, f"fault on {LOCAL}: status 429, 5 %, 20 times"),
        (
            37,
            "ejected",
            PRIMARY,
            f"ejected {where} for 30 s (consecutive 5xx, multiplier 3)",
        ),
        (37, "rescued", SPARE, f"{SPARE} answered instead of {PRIMARY} (503)"),
        (39, "returned", PRIMARY, f"returned {where} after 29.6 s"),
        (
            69,
            "ejected",
            PRIMARY,
            f"ejected {where} for 20 s (consecutive 5xx, multiplier 2)",
        ),
        (70, "returned", PRIMARY, f"returned {where} after 10.2 s"),
        (75, "action", LOCAL, f"ejected {LOCAL}@10.0.3.13:8000 until it is returned"),
        (
            88,
            "ejected",
            PRIMARY,
            f"ejected {where} for 10 s (consecutive 5xx, multiplier 1)",
        ),
        (88, "failure", PRIMARY, f"asm-llm-provider-test.com -> {PRIMARY}: 503 UF"),
        (840, "reload", None, "configuration loaded from config: 3 hosts"),
    ]
    return [
        {"id": len(told) - i, "at": NOW - ago, "kind": kind, "target": name, "text": text}
        for i, (ago, kind, name, text) in enumerate(told)
    ]


def _decisions() -> list[Data]:
    away = decision(
        0,
        text=f"fallback-route -> {SPARE} instead of {PRIMARY}, which is ejected | "
        "203.0.113.7:443: 200 in 420 ms",
        host="asm-llm-provider-test.com",
        instead_of=PRIMARY,
        result="fell back",
        request_model="qwen-max",
        path="/v1/chat/completions",
    )
    failed, good = attempt(PRIMARY, "198.51.100.20:443", "503", 0.0, 0.34, 503), away["attempts"][0]
    rescued = away | {
        "text": f"fallback-route -> {SPARE} after {PRIMARY}: 503 | 198.51.100.20:443: 503 in 340 ms, then "
        "203.0.113.7:443: 200 in 420 ms",
        "instead_of": None,
        "result": "rescued",
        "attempts": [failed | {"lost_after_s": 0.34}, good | {"began_s": 0.35}],
        "first_byte_s": 0.83,
        "rescue": {
            "policy": "default/keep-answering",
            "reasons": [f"{PRIMARY}: 503"],
            "is_spent": False,
            "is_too_large": False,
            "client_retries": 0,
        },
    }
    local = decision(
        0,
        text=f"local -> {LOCAL} | 10.0.3.11:8000: 200 in 101 ms",
        host="models.internal",
        path="/v1/embeddings",
        route="local",
        source="config/local.yaml:21",
        target=LOCAL,
        attempts=[attempt(LOCAL, "10.0.3.11:8000", "200", 0.0, 0.101, 200)],
        duration_s=0.104,
        first_byte_s=0.103,
        model="bge-m3",
        input_tokens=512,
        output_tokens=None,
    )
    lost = local | {
        "text": f"local -> {LOCAL} | 10.0.3.11:8000: 429 in 12 ms",
        "attempts": [attempt(LOCAL, "10.0.3.11:8000", "429", 0.0, 0.012, 429)],
        "status": 429,
        "flags": ["FI"],
        "override": f"fault on {LOCAL}",
        "model": None,
        "input_tokens": None,
        "duration_s": 0.012,
        "first_byte_s": 0.012,
    }
    first = away | {
        "text": f"fallback-route -> {PRIMARY} | 198.51.100.20:443: connect-failure in 12 ms",
        "target": PRIMARY,
        "instead_of": None,
        "result": "failed",
        "attempts": [attempt(PRIMARY, "198.51.100.20:443", "connect-failure", 0.0, 0.012)],
        "status": 503,
        "flags": ["UF"],
        "duration_s": 0.013,
        "first_byte_s": None,
        "model": None,
        "input_tokens": None,
        "output_tokens": None,
    }
    ages = [0.4, 4.9, 37.0, 37.9, 38.2, 40.1, 41.7, 44.0, 47.3, 51.0, 62.5, 88.0]
    kinds = [away, lost, rescued, local, local, away, local, away, away, local, away, first]
    return [
        kind | {"id": f"d{i}", "at": NOW - age, "duration_s": kind["duration_s"] + i % 4 * 0.21}
        for i, (age, kind) in enumerate(zip(ages, kinds, strict=True))
    ]
