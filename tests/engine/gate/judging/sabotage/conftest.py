"""An honest project with a champion and a better candidate, to be sabotaged in copies."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from baked import SOURCE

from mlops.bundle.lineage import PACKAGES
from mlops.gate.judge import judge
from mlops.gate.request import Origin, Request
from mlops.git import dvc

PROJECT = SOURCE
START = "start"  # the commit before the first champion
IGNORED = "/candidate\n/model\n/data/raw\n/data/prepared\n/deploy/*/champion\n__pycache__\n"
PARAMS = "model: {{use: boosting, max_iter: {trees}}}\nevaluation: {{resamples: 50}}\n"
# conf/gate/standard.yaml, for 500 holdout rows; what takes long has tests of its own.
POLICY = """
seed: 0
resamples: 200
confidence: 0.95
rules:
  metric: {metric: roc_auc, at_least: 0.7, by: value}
  better_than_baseline:
    {metric: roc_auc, baselines: [dummy], margin: 0.0, rows: 5000, by: value}
  calibration: {ece_at_most: 0.05}
  non_inferiority: {margins: {roc_auc: 0.02, log_loss: 0.02}, sides: two}
  slices:
    metric: roc_auc
    at_least: 0.55
    margin: 0.02
    min_rows: 50
    min_class_rows: 10
    max_categories: 12
    required: []
  fairness:
    {measure: error_gap, at_most: 0.25, min_rows: 40, threshold: 0.5, required: [], by: value}
  stability: {noise: 0.01, noise_at_most: 0.05, missing: 0.05, missing_at_most: 0.1, rows: 500}
  contract_kept: {allow: []}
  holdout_unchanged: {at_most: 0.0}
  split_kept: {}
  duplicates: {at_most: 0.01}
  leakage: {allow: [], gap: 0.1}
  latency: {one_row_ms: 20, hundred_rows_ms: 50, ratio: 10.0, negligible_ms: 5, repeats: 10}
  size: {at_most_mb: 5}
  parity: {at_most: 1.0e-5}
  lineage: {}
"""

Tamper = Callable[[Path], None]


class Bench(NamedTuple):
    """A copy of the project, its stages, and what the gate says of it."""

    project: Any
    root: Path

    def write(self, name: str, text: str) -> None:
        self.project.write(name, text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def remake(
        self, tamper: Tamper | None = None, prepare: bool = True, commit: bool = True
    ) -> None:
        """Commit what changed and run every stage; `tamper` has the prepared rows in between."""
        from mlops.bundle.assembly import bundle
        from mlops.config.compose import resolve
        from mlops.data.prepare import prepare as prepared
        from mlops.evaluation.evaluate import evaluate
        from mlops.training.fitting import train

        self.point()
        with chdir(self.root):
            settings = resolve()
            if commit:
                self.project.commit()
            if prepare:
                prepared(settings.data, settings.split)
            if tamper:
                tamper(Path("data/prepared"))
            train(settings)
            evaluate(settings)
            bundle(settings)
        self.pin()

    def edit(self, change: Callable[[Path, dict[str, Any]], None]) -> None:
        """Change the candidate, its manifest and dvc.lock, so that all digests agree again."""
        self.project.edit(change)
        self.pin()

    def pin(self) -> None:
        """Write the dvc.lock of what is there, as `dvc commit` would, and commit it."""
        outs = [
            {"path": path, "hash": "md5", "md5": dvc.dvc_digest(self.root / path)}
            for path in ("data/prepared", "candidate")
        ]
        stages = {"bundle": {"cmd": "mlops bundle", "outs": outs}}
        self.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
        self.project.commit()

    def point(self) -> None:
        """Write the pointer of the raw data, as `dvc add` would."""
        out = {"md5": dvc.dvc_digest(self.root / "data/raw"), "hash": "md5", "path": "raw"}
        self.write("data/raw.dvc", yaml.safe_dump({"outs": [out]}))

    def sample(self, seed: int, rows: int = 2500) -> None:
        """Write other raw data."""
        from mlops.data.sample import write

        write(self.root / "data/raw", rows=rows, months=2, seed=seed)

    def raw(self, change: Callable[[pa.Table, np.random.Generator], pa.Table]) -> None:
        """Write every raw file anew."""
        for path in sorted((self.root / "data/raw").iterdir()):
            pq.write_table(change(pq.read_table(path), np.random.default_rng(7)), path)

    def report(self, against: str = "main") -> dict[str, Any]:
        origin = Origin(against, self.project.git("rev-parse", f"{against}^{{commit}}"))
        return judge(self.project.repository, Request(origin, origin, str(self.root)))

    def outcome(self, against: str = "main") -> dict[str, str]:
        """Return why each entry rejected, by `entry part`; or why it could not be judged."""
        try:
            report = self.report(against)
        except Exception as error:  # `mlops gate` ends in 2 then, with that sentence
            return {"exit 2": str(error)}
        assert (report["verdict"] == "rejected") == bool(report["reasons"])
        return {f"{one['name']} {one['part']}".strip(): one["reason"] for one in report["reasons"]}


@pytest.fixture(scope="session")
def honest(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A candidate that the gate passes against the champion of main. Not to be changed."""
    root = tmp_path_factory.mktemp("honest") / "project"
    shutil.copytree(built.root, root, ignore=shutil.ignore_patterns("trained", "prepared", "raw"))
    bench = Bench(built._replace(root=root), root)
    bench.sample(20)
    shutil.copy(PROJECT / "dvc.yaml", root)
    lock_packages(root)
    bench.write(".gitignore", IGNORED)
    bench.write("conf/gate/standard.yaml", POLICY)
    bench.write("params.yaml", PARAMS.format(trees=15))
    bench.remake()
    bench.project.git("tag", START)
    bench.project.promote()
    bench.write("params.yaml", PARAMS.format(trees=60))
    bench.remake(prepare=False)
    bench.project.pack()
    return bench


@pytest.fixture
def bench(honest: Bench, tmp_path: Path) -> Bench:
    """A copy of the honest project."""
    shutil.copytree(honest.root.parent, tmp_path, dirs_exist_ok=True)
    root = tmp_path / honest.root.name
    return Bench(honest.project._replace(root=root), root)


def lock_packages(root: Path) -> None:
    """Write the lock of what these tests run with."""
    from importlib.metadata import version

    text = "".join(f"{name}=={version(name)} \\\n    --hash=sha256:0\n" for name in PACKAGES)
    (root / "requirements/train.txt").write_text(text)
