"""Changes to headers, as Istio's validation has them."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from llm_fallback.resources.base import FieldError, KeepsExpanded, Model, UnsupportedError

AUTHORITY = frozenset({":authority", "host"})
"""Names under which a request's authority is set, in lower case."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_COMMAND = re.compile(r"%[A-Z][A-Z0-9_]*(\([^()]*\))?(:[0-9]+)?%")


def is_authority(name: str) -> bool:
    """Whether a header's name stands for the authority."""
    return name.lower() in AUTHORITY


def _own_name(value: str) -> str:
    if not value:
        raise ValueError("a header has a name; write it")
    if value.startswith(":") or value.lower() == "host":
        raise ValueError("this header cannot be changed; remove it")
    return value


def _request_name(value: str) -> str:
    return value if is_authority(value) else _own_name(value)


def _value(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("a header's value has no control characters; write one line of text")
    if "%" in (rest := _COMMAND.sub("", value.replace("%%", ""))):
        raise ValueError("a lone % starts one of Envoy's commands; write %% for a percent sign")
    if rest != value.replace("%%", ""):
        raise UnsupportedError("Envoy's commands such as %HOSTNAME% are not supported; write the text itself")
    return value


HeaderValue = Annotated[str, AfterValidator(_value), KeepsExpanded]
"""The text of a header, with `%%` for a percent sign."""

OwnName = Annotated[str, AfterValidator(_own_name)]
RequestName = Annotated[str, AfterValidator(_request_name)]


class HeaderOperations(Model):
    """Changes to headers."""

    set: dict[OwnName, HeaderValue] = {}
    add: dict[OwnName, HeaderValue] = {}
    remove: list[OwnName] = []


class RequestHeaderOperations(HeaderOperations):
    """Changes to a request's headers; to set or add `host` or `:authority` is to change the authority."""

    set: dict[RequestName, HeaderValue] = {}
    add: dict[RequestName, HeaderValue] = {}


class Headers(Model):
    """Changes to the headers of requests and answers."""

    request: RequestHeaderOperations = RequestHeaderOperations()
    response: HeaderOperations = HeaderOperations()

    @model_validator(mode="after")
    def _authority_is_set_once(self) -> Self:
        places = self.authority_paths()
        if len(places) > 1:
            raise FieldError("the authority is set twice; keep one of the two", *places[1])
        return self

    def authority_paths(self) -> list[tuple[str, ...]]:
        """Where the authority is set."""
        operations = (("set", self.request.set), ("add", self.request.add))
        return [("request", what, name) for what, names in operations for name in names if is_authority(name)]
