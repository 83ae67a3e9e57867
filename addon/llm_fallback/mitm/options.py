"""The addon's options: their names, defaults and help, and what their texts mean."""

from collections.abc import Collection, Iterable, Iterator

from mitmproxy import exceptions
from mitmproxy.addonmanager import Loader

from llm_fallback.admin import Address, BadAddressError, address_of
from llm_fallback.overrides.errors import near

_OPTIONS = (
    (
        "llm_config",
        "config",
        (
            "Mesh YAML: files or folders, separated by commas (LLMProvider, LLMRoute, VirtualService, "
            "DestinationRule, ServiceEntry, LLMFallbackPolicy)."
        ),
    ),
    (
        "llm_workload",
        "",
        (
            "Labels of the workload that this proxy stands for, such as app=sleep,version=v1. "
            "Without them every LLMProvider applies."
        ),
    ),
    (
        "llm_watch",
        "true",
        (
            "Whether a mesh file that is saved applies at once (true or false). SIGHUP and the command "
            "llm.reload load the files in any case."
        ),
    ),
    (
        "llm_admin",
        "",
        (
            "Where the admin page listens, such as 127.0.0.1:9901; nobody else's machine can reach it. "
            "Empty: nowhere."
        ),
    ),
    (
        "llm_attempts",
        "true",
        "Whether attempts that have failed appear as flows of their own (true or false).",
    ),
    (
        "llm_view_mb",
        "512",
        (
            "How many megabytes of flows mitmproxy and mitmweb keep in view: the oldest that are not marked "
            "go first. 0: all of them."
        ),
    ),
    (
        "llm_access_log",
        "",
        (
            "A file that gets a line of JSON for each request to a managed host, with Envoy's fields; - is "
            "standard output."
        ),
    ),
    (
        "llm_ejection_log",
        "",
        (
            "A file that gets a line of JSON for each ejection and return, as Envoy's outlier event log; - "
            "is standard output."
        ),
    ),
    (
        "llm_otel",
        "false",
        (
            "Whether spans and metrics go to an OpenTelemetry collector (true or false), as the OTEL_ "
            "variables say; needs the extra `otel`."
        ),
    ),
)


def declare(loader: Loader) -> None:
    """Make the options known to mitmproxy."""
    for name, default, about in _OPTIONS:
        # As strings: mitmproxy drops an addon whose option of another type is given a wrong value.
        loader.add_option(name, str, default, about)


def unknown(names: Iterable[str], known: Collection[str], said: str) -> Iterator[tuple[str, bool]]:
    """A sentence for each name that no option has and is meant for us, and whether it ends the start.

    mitmproxy keeps a value for a script that is still to declare its option, and does not say if none does.
    """
    by_run = said.split(",")
    for name in names:
        if name in by_run or name.startswith("llm"):
            yield f"{name}: there is no such option{near(name, known)}", name in by_run


def address(text: str) -> Address | None:
    """What llm_admin says. Raises OptionsError."""
    try:
        return address_of(text) if text else None
    except BadAddressError as error:
        raise exceptions.OptionsError(f"llm_admin: {error}") from None


def is_true(option: str, value: str) -> bool:
    """What an option says that is on or off. Raises OptionsError."""
    if value not in {"true", "false"}:
        raise exceptions.OptionsError(f"{option}: {value!r} is neither true nor false")
    return value == "true"


def megabytes(option: str, value: str) -> int:
    """Bytes, from a whole number of megabytes. Raises OptionsError."""
    if not (value.isascii() and value.isdecimal()):
        raise exceptions.OptionsError(f"{option}: {value!r} is no whole number of megabytes, such as 512")
    return int(value) * 1024 * 1024
