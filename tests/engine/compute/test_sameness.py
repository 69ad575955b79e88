"""One seed makes one bundle, wherever its parts are computed and whatever dies meanwhile."""

from pathlib import Path

import pytest
from clusters import installed, made, project
from sweeps import thorough

pytestmark = thorough


@pytest.fixture(scope="module")
def root(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = project(trained, tmp_path_factory.mktemp("sameness") / "project")
    (root / "killed").touch()
    return root


@pytest.fixture(scope="module")
def expected(root: Path) -> dict[str, str]:
    return made(root, "local", 2)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("name", ["local", "dask", "ray"])
def test_the_bundle_is_the_same(
    root: Path, expected: dict[str, str], name: str, workers: int
) -> None:
    if name != "local":
        installed(name)
    assert made(root, name, workers) == expected


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_it_is_the_same_after_a_worker_was_killed(
    root: Path, expected: dict[str, str], name: str
) -> None:
    installed(name)
    (root / "killed").unlink()
    assert made(root, name, 2) == expected
    assert (root / "killed").exists()
