"""Measure how often the gate passes what is honest: a better candidate on a fresh sample.

    python benchmarks/gate/clean_seeds.py --seeds 20

Each seed is a project of its own in git with DVC: the sample drawn anew, a champion with few
trees, promoted to main, and a candidate with more, judged by the policy as conf/gate has it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from mlops.bundle.assembly import bundle
from mlops.bundle.lineage import PACKAGES
from mlops.config.compose import resolve
from mlops.data.prepare import prepare
from mlops.data.sample import write
from mlops.evaluation.evaluate import evaluate
from mlops.gate.judge import judge
from mlops.gate.request import Origin, Request
from mlops.git import dvc
from mlops.git.repository import Repository
from mlops.training.fitting import train

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
COPIED = ("conf", "engine", "src", "requirements", "pyproject.toml", ".dvcignore", "dvc.yaml")
IGNORED = "/candidate\n/model\n/data/raw\n/data/prepared\n/deploy/*/champion\n__pycache__\n"
CHAMPION = Path("deploy/production/champion")
COMMIT = ("commit", "-q", "--allow-empty", "-m", "seed")
PARAMS = "model: {{use: boosting, max_iter: {trees}}}\ngate: {{use: {policy}}}\n"


def run(*command: str) -> str:
    """Run a command in the project and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit() -> None:
    """Commit everything."""
    run("git", "add", "--all")
    run("git", "-c", "user.name=seed", "-c", "user.email=seed@example.invalid", *COMMIT)


def made(trees: int, policy: str) -> None:
    """Run the stages and pin what they made."""
    Path("params.yaml").write_text(PARAMS.format(trees=trees, policy=policy))
    settings = resolve()
    commit()
    if not Path("data/prepared").exists():
        prepare(settings.data, settings.split)
    train(settings)
    evaluate(settings)
    bundle(settings)
    outs = [
        {"path": name, "hash": "md5", "md5": dvc.dvc_digest(Path(name))}
        for name in ("data/prepared", "candidate")
    ]
    stages = {"bundle": {"cmd": "mlops bundle", "outs": outs}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    commit()


def judged(seed: int, rows: int, policy: str) -> dict[str, Any]:
    """Return the report on one seed."""
    dvc = (sys.executable, "-m", "dvc")
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name in COPIED:
            source = PROJECT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, name)
        pins = [f"{name}=={version(name)} \\\n" for name in PACKAGES]
        Path("requirements/train.txt").write_text("".join(pins))
        Path(".gitignore").write_text(IGNORED)
        run("git", "init", "-q", "-b", "main")
        run(*dvc, "init", "--quiet")
        write(Path("data/raw"), rows=rows, seed=seed)
        run(*dvc, "add", "--quiet", "data/raw")
        made(100, policy)
        shutil.copytree("candidate", CHAMPION)
        run(*dvc, "add", "--quiet", str(CHAMPION))
        commit()
        run("git", "checkout", "-q", "-b", "branch")
        made(150, policy)
        main = Origin("main", run("git", "rev-parse", "main"))
        return judge(Repository(Path(folder)), Request(main, main, folder))


def main() -> None:
    """Print each seed that is rejected, and how many pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--policy", default="standard")
    asked = parser.parse_args()
    os.environ["DVC_NO_ANALYTICS"] = "1"
    passed = 0
    for seed in tqdm(range(1, asked.seeds + 1), unit="seed", disable=None):
        with redirect_stderr(StringIO()):
            report = judged(seed, asked.rows, asked.policy)
        passed += report["verdict"] == "passed"
        for one in report["reasons"]:
            print(f"seed {seed}: {one['name']} {one['part']}: {one['reason']}", flush=True)
    print(f"{passed} of {asked.seeds} pass")


if __name__ == "__main__":
    main()
