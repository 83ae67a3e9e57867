"""Compares the addon with a bare mitmdump and with a naive addon.

Every contender is one mitmdump process that stays up for the whole run. In each round every contender takes
the same load in turn, in an order that rotates. Ratios are taken within a round, and their median is quoted.
Exit status: 0 all targets met, 1 a target missed or a contender failed, 2 bad usage.
"""

import argparse
import asyncio
import json
import os
import platform
import pstats
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import bench_load
import bench_proxies
import bench_report
import bench_rescue
from bench_load import Load, LoadError, Sample
from bench_proxies import Contender, Proxy, StartError, Workspace
from bench_report import Result
from bench_scenarios import CONTENDERS, SCENARIOS, Scenario
from bench_upstream import EVENTS

ROUNDS = 9
QUICK_ROUNDS = 3
WARM_UP_ROUNDS = 1
PROFILE_ROUNDS = 3
_FAULTS = (LoadError, OSError, EOFError, ValueError)

_NAMES = [*SCENARIOS, bench_rescue.NAME]


@dataclass(frozen=True, slots=True)
class Runner:
    """The processes of a run, and the contenders that did not come up."""

    workspace: Workspace
    proxies: dict[str, Proxy]
    failures: dict[str, str]

    async def run(self, scenario: Scenario, rounds: int) -> Result:
        """Check, warm up and measure all of a scenario's contenders."""
        result = _empty_result(scenario)
        for name in scenario.contenders:
            if name in self.failures:
                result.fail(name, "did not start; see above")
            else:
                result.rounds[name] = []
                await self._check(self.proxies[name], scenario, result)
        for number in range(-WARM_UP_ROUNDS, rounds):
            await self._round(scenario, result, number)
        return result

    async def sample(self, proxy: Proxy, scenario: Scenario) -> Sample:
        """Run a scenario's load once through one proxy."""
        request = _request(proxy.contender, scenario, self.workspace)
        load = Load(proxy.port, request, scenario.requests, scenario.connections, scenario.keep_alive)
        return await bench_load.run(load, proxy.cpu_seconds)

    async def _round(self, scenario: Scenario, result: Result, number: int) -> None:
        names = list(result.rounds)
        start = number % len(names) if names else 0
        for name in names[start:] + names[:start]:
            try:
                sample = await self.sample(self.proxies[name], scenario)
            except _FAULTS as fault:
                result.fail(name, f"{fault!r}\n{self.proxies[name].last_words()}")
                continue
            if number >= 0:
                result.rounds[name].append(bench_report.row(result.metrics, sample))

    async def _check(self, proxy: Proxy, scenario: Scenario, result: Result) -> None:
        """See to it that the proxy does what it is timed for."""
        request = _request(proxy.contender, scenario, self.workspace)
        try:
            answer = (await bench_load.ask_once(proxy.port, request)).body
            seen = (await bench_load.ask_once(self.workspace.plain_port, b"GET /last HTTP/1.1\r\n\r\n")).body
        except _FAULTS as fault:
            result.fail(proxy.contender.name, f"{fault!r}\n{proxy.last_words()}")
            return
        problems = [*_answer_problems(scenario, answer), *_request_problems(proxy.contender, scenario, seen)]
        if problems:
            result.fail(proxy.contender.name, "; ".join(problems))


def _empty_result(scenario: Scenario) -> Result:
    metrics = bench_report.STREAM_METRICS if scenario.is_stream else bench_report.REQUEST_METRICS
    return Result(scenario.name, scenario.about, metrics, scenario.targets)


def _answer_problems(scenario: Scenario, answer: bytes) -> Iterator[str]:
    if scenario.is_stream and (events := answer.count(b"data: ")) != EVENTS + 1:
        yield f"{events} events instead of {EVENTS + 1}"
    if not scenario.is_stream and b"chat.completion" not in answer:
        yield f"unexpected answer {answer[:200]!r}"


def _request_problems(contender: Contender, scenario: Scenario, seen: bytes) -> Iterator[str]:
    head, _, body = seen.partition(b"\r\n\r\n")
    is_rewritten = contender.finds_upstream and scenario.is_managed
    key, model = (bench_proxies.KEY, bench_proxies.MODEL) if is_rewritten else ("client-key", "client-model")
    if not head.startswith(f"POST {bench_proxies.PROVIDER_PATH} ".encode()):
        yield f"the upstream was asked for {head.splitlines()[:1]}"
    if f"authorization: bearer {key}".encode() not in head.lower():
        yield "the upstream got another key"
    if json.loads(body).get("model") != model:
        yield "the upstream got another model"


def _request(contender: Contender, scenario: Scenario, workspace: Workspace) -> bytes:
    """What the client sends: about 1 KB of chat messages, to the host's name or to the upstream's address."""
    turn = (
        "What does an LLM gateway do when its upstream fails, and how soon does it try that upstream again? "
    )
    messages = [{"role": role, "content": turn * 3} for role in ("system", "user", "assistant")]
    body = json.dumps({"model": "client-model", "messages": messages, "stream": scenario.is_stream}).encode()
    authority, target = _address(contender, scenario, workspace)
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        "Authorization: Bearer client-key\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _address(contender: Contender, scenario: Scenario, workspace: Workspace) -> tuple[str, str]:
    if contender.finds_upstream and scenario.is_managed:
        host = bench_proxies.TLS_HOST if scenario.is_tls else bench_proxies.PLAIN_HOST
        return host, f"http://{host}/v1/chat/completions"
    # https:// in a plain proxy request: mitmproxy speaks TLS to the upstream only, like the other contenders.
    scheme, port = ("https", workspace.tls_port) if scenario.is_tls else ("http", workspace.plain_port)
    return f"127.0.0.1:{port}", f"{scheme}://127.0.0.1:{port}{bench_proxies.PROVIDER_PATH}"


@contextmanager
def _runner(names: Sequence[str]) -> Iterator[Runner]:
    """Start the upstream and the named contenders; one that does not start is reported and left out."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        workspace = stack.enter_context(bench_proxies.upstream(directory))
        runner = Runner(workspace, {}, {})
        for name in names:
            try:
                runner.proxies[name] = stack.enter_context(bench_proxies.running(CONTENDERS[name], workspace))
            except StartError as error:
                runner.failures[name] = str(error)
                print(f"{name} FAILED to start; its output:\n{error}\n", file=sys.stderr, flush=True)
        yield runner


def _environment() -> dict[str, str | int | None]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in ("mitmproxy", "aiohttp", "pydantic")},
    }


def _introduction(names: Sequence[str], workspace: Workspace) -> Iterator[str]:
    yield " · ".join(f"{key} {value}" for key, value in _environment().items())
    flags = " ".join(bench_proxies.shared_flags(workspace)).replace(str(workspace.directory), "TMP")
    yield f"all: mitmdump {flags}, default verbosity, output to a file"
    for name in names:
        contender = CONTENDERS[name]
        yield f"{name}: {' '.join(contender.flags) or '(no more flags)'}: {contender.about}"
    yield "figures: median (min–max) over the rounds; ratios are taken within a round\n"  # noqa: RUF001 - a range


def compare(chosen: Sequence[str], *, rounds: int, report: Path | None) -> int:
    """Run scenarios, print their tables, and return the exit status."""
    names = [name for name in chosen if name in SCENARIOS]
    has_rescue = len(names) < len(chosen)
    contenders = list(dict.fromkeys(one for name in names for one in SCENARIOS[name].contenders))
    results = []
    with _runner(contenders) as runner:
        print("\n".join(_introduction(contenders, runner.workspace)), flush=True)
        for name in names:
            result = asyncio.run(runner.run(SCENARIOS[name], rounds))
            results.append(result)
            print("\n".join(bench_report.lines(result)), end="\n\n", flush=True)
    measured = _rescue(rounds) if has_rescue else {}
    if report is not None:
        figures = {**_as_json(results), bench_rescue.NAME: measured}
        report.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    has_failed = any(result.failures for result in results)
    has_missed = any(verdict.is_met is False for result in results for verdict in bench_report.judge(result))
    return 1 if has_failed or has_missed else 0


def _rescue(rounds: int) -> bench_rescue.Figures:
    """Measure rescues, and print what they cost; there is nobody to compare with."""
    measured = bench_rescue.figures(rounds)
    print("\n".join(bench_rescue.lines(measured)), flush=True)
    return measured


def _as_json(results: Sequence[Result]) -> dict[str, object]:
    scenarios = {
        result.name: {
            "about": result.about,
            "rounds": result.rounds,
            "failures": result.failures,
            "targets": [asdict(verdict) for verdict in bench_report.judge(result)],
        }
        for result in results
    }
    return {"environment": _environment(), "scenarios": scenarios}


def profile(name: str, scenario: Scenario) -> int:
    """Run one contender under cProfile and print where its time goes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        statistics = Path(temporary) / "statistics"
        with bench_proxies.upstream(Path(temporary)) as workspace:
            try:
                with bench_proxies.running(CONTENDERS[name], workspace, statistics) as proxy:
                    asyncio.run(_profiled_load(Runner(workspace, {name: proxy}, {}), proxy, scenario))
            except StartError as error:
                print(f"{name} FAILED to start; its output:\n{error}", file=sys.stderr)
                return 1
        print(f"{name}, {scenario.name}: {scenario.about}; {PROFILE_ROUNDS * scenario.requests} requests")
        for order in ("tottime", "cumulative"):
            pstats.Stats(str(statistics)).sort_stats(order).print_stats(35)
    return 0


async def _profiled_load(runner: Runner, proxy: Proxy, scenario: Scenario) -> None:
    await runner.sample(proxy, scenario)
    proxy.start_profiler()
    for _ in range(PROFILE_ROUNDS):
        await runner.sample(proxy, scenario)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", choices=_NAMES, help="this scenario; may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--profile", choices=CONTENDERS, help="profile this contender instead of comparing")
    if platform.system() != "Linux":
        parser.error("reads another process's CPU time as Linux does; other systems are not supported")
    return parser.parse_args()


def main() -> int:
    """Do what the command line asks for."""
    arguments = _arguments()
    names = arguments.only or _NAMES
    if arguments.profile:
        return profile(arguments.profile, SCENARIOS.get(names[0]) or SCENARIOS["plain-1"])
    return compare(names, rounds=QUICK_ROUNDS if arguments.quick else ROUNDS, report=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
