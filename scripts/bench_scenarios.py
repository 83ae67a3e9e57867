"""What the benchmark compares: ways to run mitmdump, and loads for them."""

from dataclasses import dataclass

import bench_report
from bench_proxies import Contender
from bench_report import Target
from bench_upstream import EVENT_GAP_S, EVENTS

_ADDON = ("-s", "addon/main.py", "--set", "llm_config={config}")

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("bare", "no addon; the client asks for the upstream's address"),
        Contender("bare-again", "a second process like bare: their difference is noise"),
        Contender(
            "bare-streaming",
            "bare, passing bodies on as they arrive, both ways",
            ("--set", "stream_large_bodies=1"),
        ),
        Contender(
            "naive",
            "rewrites the request in its hook; streams server-sent events",
            ("-s", "scripts/bench_naive_addon.py"),
            finds_upstream=True,
        ),
        Contender("ours", "the addon", _ADDON, finds_upstream=True),
        Contender(
            "ours-admin",
            "with the admin page",
            (*_ADDON, "--set", "llm_admin=127.0.0.1:0"),
            finds_upstream=True,
        ),
        Contender(
            "ours-logged",
            "with the access log",
            (*_ADDON, "--set", "llm_access_log={directory}/access.log"),
            finds_upstream=True,
        ),
        Contender(
            "ours-traced",
            "with OpenTelemetry, to the upstream in a collector's place",
            (*_ADDON, "--set", "llm_otel=true"),
            finds_upstream=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load, the contenders that take it, and what is asked of `ours` there."""

    name: str
    about: str
    requests: int  # in a round
    targets: tuple[Target, ...] = ()
    contenders: tuple[str, ...] = ("bare", "naive", "ours")
    connections: int = 1
    keep_alive: bool = True
    is_tls: bool = False
    is_stream: bool = False
    is_managed: bool = True


_CPU_TARGET = Target(bench_report.CPU, "naive", 1.25)
# "No worse" leaves 5 % for the noise of a shared machine.
_STREAM_TARGETS = (
    Target(bench_report.FIRST_EVENT, "bare-streaming", 1.05),
    Target(bench_report.EVENT_CPU, "bare-streaming", 1.05),
)
_UNMANAGED_TARGETS = tuple(
    Target(metric, "bare", 1.03, noise="bare-again") for metric in (bench_report.CPU, bench_report.MEDIAN)
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain-1", "plain upstream, JSON, 1 connection kept alive", 400, (_CPU_TARGET,)),
        Scenario(
            "plain-16", "plain upstream, JSON, 16 connections kept alive", 480, (_CPU_TARGET,), connections=16
        ),
        Scenario("tls", "TLS upstream, JSON, 1 connection kept alive", 400, is_tls=True),
        Scenario(
            "tls-new",
            "TLS upstream, JSON, a new client connection for each request",
            150,
            (Target(bench_report.RATE, "bare", 1.8, at_least=True),),
            keep_alive=False,
            is_tls=True,
        ),
        Scenario(
            "sse",
            f"plain upstream, streams of {EVENTS} events, one each {EVENT_GAP_S * 1000:.0f} ms; bare buffers",
            6,
            _STREAM_TARGETS,
            ("bare", "bare-streaming", "naive", "ours"),
            is_stream=True,
        ),
        Scenario(
            "unmanaged",
            "plain upstream by its address, which the addon does not manage",
            400,
            _UNMANAGED_TARGETS,
            ("bare", "bare-again", "ours"),
            is_managed=False,
        ),
        Scenario(
            "watched",
            "plain upstream, JSON, 1 connection kept alive; what it costs to be seen by others",
            400,
            contenders=("ours", "ours-admin", "ours-logged", "ours-traced"),
        ),
    )
}
