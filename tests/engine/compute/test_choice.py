"""What runs work is chosen by the environment, else by the project, and told where it is wrong."""

from pathlib import Path

import pytest
from baked import SOURCE

from mlops.compute import backend
from mlops.compute.choice import ADDRESS, NAME, WORKERS, Compute, ComputeError, chosen

DECLARED = '[tool.mlops]\ncompute = "cluster"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "conf/compute"
    folder.mkdir(parents=True)
    for path in (SOURCE / "conf/compute").glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    (folder / "cluster.yaml").write_text("{backend: dask, address: 'tls://there:8786'}\n")
    return tmp_path


def test_threads_where_nothing_is_chosen_or_nothing_is_there(root: Path, tmp_path: Path) -> None:
    assert chosen(root, {}) == Compute()
    assert chosen(tmp_path / "image", {}) == Compute()


def test_the_environment_before_the_project(root: Path) -> None:
    (root / "pyproject.toml").write_text(DECLARED)
    assert chosen(root, {}) == Compute("dask", address="tls://there:8786")
    assert chosen(root, {NAME: "ray"}) == Compute("ray")
    assert chosen(root, {NAME: "ray", WORKERS: "3"}) == Compute("ray", 3)
    assert chosen(root, {ADDRESS: "tls://here:1"}) == Compute("dask", address="tls://here:1")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {NAME: "spark"},
            r"conf/compute/spark.yaml is missing: write it, or choose broken, cluster, ",
        ),
        ({NAME: "dask", WORKERS: "many"}, "MLOPS_COMPUTE_WORKERS is 'many': give a number"),
        ({NAME: "dask", WORKERS: "0"}, "^MLOPS_COMPUTE_WORKERS is '0': give a .* 1 or more$"),
        ({NAME: "dask", WORKERS: "-3"}, "^MLOPS_COMPUTE_WORKERS is '-3': give a .* 1 or more$"),
        ({NAME: "none"}, "^conf/compute/none.yaml: workers is 0: `workers` is 1 or more"),
        ({NAME: "local", ADDRESS: "there:1"}, "local.yaml, MLOPS_COMPUTE_ADDRESS: .* choose dask"),
        (
            {NAME: "cluster", WORKERS: "2"},
            r"cluster.yaml, MLOPS_COMPUTE_WORKERS: .* leave out `workers` .*; correct it there$",
        ),
        ({NAME: "odd"}, "conf/compute/odd.yaml: worker is an unknown field: did you mean workers"),
        ({NAME: "broken"}, "conf/compute/broken.yaml is no YAML"),
    ],
)
def test_a_wrong_choice_is_refused(root: Path, environment: dict[str, str], said: str) -> None:
    (root / "conf/compute/none.yaml").write_text("{backend: dask, workers: 0}\n")
    (root / "conf/compute/odd.yaml").write_text("{backend: dask, worker: 2}\n")
    (root / "conf/compute/broken.yaml").write_text("{backend\n")
    with pytest.raises(ComputeError, match=said):
        chosen(root, environment)


def test_a_project_file_that_is_none_is_told(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool")
    with pytest.raises(ComputeError, match=r"pyproject.toml is no TOML .*: correct it"):
        chosen(root, {})


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_what_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(backend, "find_spec", lambda _: None)
    with (
        pytest.raises(ComputeError, match=rf"`make setup`, which installs .*compute-{name}.txt"),
        backend.backend(Compute(name)),  # type: ignore[arg-type]
    ):
        pass
    assert (SOURCE / f"requirements/compute-{name}.txt").is_file()
