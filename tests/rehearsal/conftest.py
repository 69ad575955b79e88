"""What every story needs."""

import os
from collections.abc import Iterator

import engine
import pytest
from baked import ROOT

REASON = engine.lacking()


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of a container engine, and the address of a registry; empty without one."""
    if REASON:
        assert not os.environ.get(engine.REQUIRED), REASON
        yield {}, ""
        return
    own = tmp_path_factory.mktemp("engine")
    environment = engine.prepare(ROOT / "build/engine", own)
    with engine.registry(own) as address:
        plain = own / "registries.conf"
        plain.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        yield {**environment, "CONTAINERS_REGISTRIES_CONF": str(plain)}, address
