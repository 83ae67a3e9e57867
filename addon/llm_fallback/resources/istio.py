"""What Istio's kinds share: their versions, and to which namespaces they are shown."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, model_validator

from llm_fallback.resources.base import FieldError, Model, Resource
from llm_fallback.resources.names import is_label

EVERYBODY = "*"
"""In `exportTo`, in place of all namespaces."""

_NOBODY, _OWN = "~", "."


def _visibility(value: str) -> str:
    if value not in (EVERYBODY, _NOBODY, _OWN) and not is_label(value):
        raise ValueError("not a namespace; write its name, '.' for this one or '*' for all")
    return value


class Spec(Model):
    """A spec that may be shown to some namespaces only; the proxy sees it whoever they are."""

    export_to: list[Annotated[str, AfterValidator(_visibility)]] = []


class IstioResource(Resource):
    """A resource of `networking.istio.io`."""

    API_VERSIONS: ClassVar = (
        "networking.istio.io/v1",
        "networking.istio.io/v1beta1",
        "networking.istio.io/v1alpha3",
    )

    MAY_BE_HIDDEN: ClassVar = False
    """Whether it may be shown to nobody."""

    spec: Spec

    @property
    def shown_to(self) -> list[str]:
        """The namespaces that see it, `*` for all and `~` for none."""
        entries = self.spec.export_to or [EVERYBODY]
        return [self.metadata.namespace if entry == _OWN else entry for entry in entries]

    @model_validator(mode="after")
    def _is_shown_once(self) -> Self:
        shown = self.shown_to
        seen: set[str] = set()
        for index, entry in enumerate(shown):
            place = ("spec", "exportTo", index)
            if entry in seen:
                raise FieldError("the namespace is there twice; remove one of the two", *place)
            if entry == _NOBODY and not self.MAY_BE_HIDDEN:
                raise FieldError("'~' is for a ServiceEntry only; remove it", *place)
            if entry in (EVERYBODY, _NOBODY) and len(shown) > 1:
                raise FieldError(f"{entry!r} stands alone; remove the others", *place)
            seen.add(entry)
        return self
