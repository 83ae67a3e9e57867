"""Writing a configuration and loading it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from llm_fallback.config import Loaded, load

type Load = Callable[..., Loaded]


@pytest.fixture
def load_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads texts as the files a.yaml, b.yaml, ..., each named on its own."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(
        *texts: str | bytes,
        environment: Mapping[str, str] | None = None,
        workload: dict[str, str] | None = None,
    ) -> Loaded:
        paths = [Path(f"{name}.yaml") for name, _ in zip("abcdefgh", texts, strict=False)]
        for path, text in zip(paths, texts, strict=True):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(paths, environment or {}, workload)

    return write_and_load
