"""Versions of a template, committed and tagged, and what owners of a project may have done to it.

The first is the template as it stands; each later one edits, adds, renames and deletes what a
project has.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from baked import SOURCE, Project, clean_environment

PARTS = ("cookiecutter.json", "hooks", "upgrades", SOURCE.name)
Change = Callable[[Path], object]
TRAILER = "Template-Upgrade"

# What the later versions bring, as a text that stands somewhere in a project afterwards.
SECOND = (
    ("params.yaml", "lightgbm: 180"),
    ("conf/training/standard.yaml", "threads: 2"),
    ("conf/training/standard.yaml", "patience: 3  # of v2"),
    ("README.md", "Git says here what should be true"),
    ("README.md", "Team: data"),
    ("src/project/features.py", "def logit("),
    ("src/project/cleaning.py", "in training, in every request"),
    ("src/policy/rules.py", "std(ddof=1)"),
    ("src/policy/monitoring.py", "squares / (counts.rows - 1)"),
    ("src/policy/metrics.py", "0.05 * counted.sum()"),
    ("conf/model/nearest.yaml", "n_neighbors: 15"),
    ("conf/model/forest.yaml", "max_depth: 18"),
    ("conf/split/hash.yaml", "holdout: 0.25"),
    ("conf/data/churn.yaml", "Snapshots of every month"),
    (".github/workflows/check.yml", "timeout-minutes: 40"),
    ("pyproject.toml", '"ANN", "C4"'),
    ("requirements/serve.txt", "annotated-doc==0.0.8"),
    (".gitignore", "/of-v2"),
    ("orchestration/airflow.py", "The work of a day"),
    ("engine/tasks.mk", "# Of v2."),
    ("engine/src/mlops/novel.py", '"""Of v2."""'),
)
LATER = (
    ("src/project/features.py", "def squared("),
    ("conf/training/standard.yaml", "tolerance: 1.0e-4"),
    ("orchestration/cron.txt", "of v3"),
    ("conf/training/standard.yaml", "mapping: "),
    ("params.yaml", "lightgbm: 190"),
    ("README.md", "Which version this is"),
    ("conf/split/date.yaml", "method: time"),
)
OUTDATED = (("params.yaml", "lightgbm: 180"),)  # of v2, and changed again until v4
GONE = (
    *("conf/model/quantile.yaml", "deploy/services/prometheus.yml"),
    "engine/docs/sample-data.md",
)
LOGIT = '''

@feature("number")
def logit(share: Floats) -> Floats:
    """Return the log odds of a share."""
    return np.log(share / (1 - share))
'''
SQUARED = '''

@feature("number")
def squared(amount: Floats) -> Floats:
    """Return the square of an amount."""
    return amount**2
'''


MIGRATION = '''"""Training maps a target."""


def migrate(files):
    for pattern in ("conf/training/*.yaml", "resolved.yaml"):
        files.rename_key(pattern, ["transform"], "mapping")
'''


def edit(path: Path, old: str, new: str) -> None:
    """Put one text in place of another, which has to be there."""
    text = path.read_bytes().decode()
    assert old in text, f"{path} has no {old!r}"
    path.write_bytes(text.replace(old, new, 1).encode())


def append(path: Path, text: str) -> None:
    """Add to the end of a file."""
    with path.open("a", encoding="utf-8", newline="") as stream:
        stream.write(text)


def second(template: Path) -> None:
    """Make the second version of the first."""
    at = template / SOURCE.name
    edit(template / "cookiecutter.json", '"owner": "acme",', '"owner": "acme",\n  "team": "data",')
    edit(template / "cookiecutter.json", '"owner": "GitHub', '"team": "Who",\n    "owner": "GitHub')
    edit(at / "params.yaml", "lightgbm: 170", "lightgbm: 180")
    edit(at / "conf/training/standard.yaml", "threads: 1", "threads: 2")
    edit(at / "conf/training/standard.yaml", "runtime: auto", "patience: 3  # of v2\nruntime: auto")
    edit(at / "README.md", "Git says what should be true here", "Git says here what should be true")
    append(at / "README.md", "\nTeam: {{ cookiecutter.team }}\n")
    append(at / "src/project/features.py", LOGIT)
    edit(
        at / "src/project/cleaning.py",
        "in training as in a request",
        "in training, in every request",
    )
    edit(at / "src/policy/rules.py", "std()", "std(ddof=1)")
    edit(at / "src/policy/monitoring.py", "squares / counts.rows", "squares / (counts.rows - 1)")
    edit(at / "src/policy/metrics.py", "0.1 * counted.sum()", "0.05 * counted.sum()")
    (at / "conf/model/nearest.yaml").write_text(
        "_target_: sklearn.neighbors.KNeighborsClassifier\ninputs: imputed\ntasks: [binary]\n"
        "n_neighbors: 15\n"
    )
    edit(at / "conf/model/forest.yaml", "max_depth: 16", "max_depth: 18")
    edit(at / "conf/split/hash.yaml", "holdout: 0.2", "holdout: 0.25")
    edit(at / "conf/data/churn.yaml", "Monthly snapshots", "Snapshots of every month")
    edit(at / ".github/workflows/check.yml", "timeout-minutes: 30", "timeout-minutes: 40")
    edit(at / "pyproject.toml", '"ANN"', '"ANN", "C4"')
    edit(at / "requirements/serve.txt", "annotated-doc==0.0.7", "annotated-doc==0.0.8")
    append(at / ".gitignore", "/of-v2\n")
    (at / "resolved.yaml").write_text("of: the template\n")
    edit(at / "orchestration/airflow.py", "The daily work", "The work of a day")
    append(at / "engine/tasks.mk", "# Of v2.\n")
    (at / "engine/src/mlops/novel.py").write_text('"""Of v2."""\n')
    (at / "engine/docs/sample-data.md").unlink()
    (at / "conf/model/quantile.yaml").unlink()
    (at / "deploy/services/prometheus.yml").rename(at / "deploy/services/scrape.yml")


def third(template: Path) -> None:
    """Make the third version of the second."""
    at = template / SOURCE.name
    append(at / "src/project/features.py", SQUARED)
    edit(at / "conf/training/standard.yaml", "tolerance: 1.0e-5", "tolerance: 1.0e-4")
    (at / "orchestration/cron.txt").write_text("of v3\n")
    edit(at / "conf/training/standard.yaml", "transform: none", "mapping: none")
    (template / "upgrades/001_mapping.py").write_text(MIGRATION)


def fourth(template: Path) -> None:
    """Make the fourth version of the third."""
    at = template / SOURCE.name
    edit(at / "params.yaml", "lightgbm: 180", "lightgbm: 190")
    edit(
        at / "README.md",
        "## Experiments",
        "Which version this is says `engine/VERSION`.\n\n## Experiments",
    )
    (at / "conf/split/time.yaml").rename(at / "conf/split/date.yaml")


def history(
    template: Path, folder: Path, changes: Sequence[Change] = (second, third, fourth)
) -> str:
    """Commit and tag a template (v1), and versions that follow; return its address."""
    folder.mkdir()
    for name in PARTS:
        copy = shutil.copytree if (template / name).is_dir() else shutil.copy
        copy(template / name, folder / name)
    made = Project(folder, clean_environment(folder.parent / f"{folder.name}-home"))
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    made.commit("v1")
    made.run("git", "tag", "v1")
    for number, change in enumerate(changes, start=2):
        change(folder)
        made.commit(f"v{number}")
        made.run("git", "tag", f"v{number}")
    return f"file://{folder}"


@dataclass(frozen=True)
class Edit:
    """What an owner did, and what of it has to be found again: texts, by the path or another."""

    name: str
    do: Change
    kept: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()  # paths that stay away
    conflict: bool = False  # that people have to decide


def _crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def _reformat(at: Path) -> None:
    edit(at / "pyproject.toml", "line-length = 100", "line-length = 70")
    ruff = str(Path(sys.executable).with_name("ruff"))
    subprocess.run([ruff, "format", "--quiet", "src/policy/metrics.py"], cwd=at, check=True)


def _own_table(at: Path) -> None:
    (at / "conf/data/churn.yaml").unlink()
    (at / "conf/data/loans.yaml").write_text("name: loans\ntask: binary\n")
    edit(at / "params.yaml", "use: churn", "use: loans")


def _depend(at: Path) -> None:
    edit(at / "pyproject.toml", "train = []", 'train = ["humanize>=4"]')
    append(at / "requirements/serve.txt", "humanize==4.9.0 \\\n    --hash=sha256:0\n")


def _links(at: Path) -> None:
    (at / "orchestration/airflow.py").chmod(0o755)
    (at / "pages").symlink_to("engine/docs")


def _answer(at: Path) -> None:
    for name in ("README.md", "pyproject.toml"):
        edit(at / name, "Predicts which customers will cancel", "Predicts who leaves")


WRITTEN = {
    "dvc.lock": "schema: '2.0' # of a run\n",
    "resolved.yaml": "transform: of the pipeline\n",
    "data/raw.dvc": "outs: [] # data\n",
    "deploy/production/champion.dvc": "outs: [] # promoted\n",
    "deploy/production/release.yaml": "of: a promotion\n",
}


def _run(at: Path) -> None:
    for name, text in WRITTEN.items():
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text(text)


def _write(path: str, text: str) -> Change:
    return lambda at: (at / path).write_text(text)


def _edit(path: str, old: str, new: str) -> Change:
    return lambda at: edit(at / path, old, new)


def _append(path: str, text: str) -> Change:
    return lambda at: append(at / path, text)


def _remove(path: str) -> Change:
    return lambda at: (at / path).unlink()


def _move(old: str, new: str) -> Change:
    return lambda at: (at / old).rename(at / new)


OWN_FUNCTION = '''

@feature("number")
def halved(amount: Floats) -> Floats:
    """Return half of an amount."""
    return amount / 2
'''
INSERTED = '''    at_least: float

    def is_low(self, spread: float) -> bool:
        """Say whether it is too little."""
        return spread < self.at_least
'''
BESIDE = "        assert case is not None  # mine\n        spread = float(case"
TRAINING, CHECK = "conf/training/standard.yaml", ".github/workflows/check.yml"
RUNNER = "runs-on: ubuntu-24.04\n    timeout-minutes: 30"
OWN_RUNNER = "runs-on: [self-hosted, gpu]\n    timeout-minutes: 30"
SAID = "Predicts which customers will cancel"
# The kinds that upgrades by other means were tried with; uncommitted work has a test of its own.
TRIED = (
    Edit("untouched", lambda at: None),
    Edit(
        "conf, another line",
        _edit(TRAINING, "weight: none", "weight: balanced"),
        ("class_weight: balanced",),
    ),
    Edit(
        "conf, the same line",
        _edit("params.yaml", "lightgbm: 170", "lightgbm: 175"),
        ("lightgbm: 175",),
        conflict=True,
    ),
    Edit(
        "README, first paragraph",
        _edit("README.md", SAID, "We keep customers."),
        ("We keep customers.",),
    ),
    Edit(
        "README, rewritten",
        _write("README.md", "# Ours\n\nAll of it is ours.\n"),
        ("All of it is ours.",),
        conflict=True,
    ),
    Edit("own file", _write("src/project/prices.py", "PRICES = 1\n"), ("PRICES = 1",)),
    Edit(
        "own file, of the template too",
        _write("conf/model/nearest.yaml", "_target_: own\n"),
        ("_target_: own",),
        conflict=True,
    ),
    Edit(
        "deleted, changed there",
        _remove("conf/model/forest.yaml"),
        gone=("conf/model/forest.yaml",),
    ),
    Edit("deleted, left there", _remove("conf/model/ebm.yaml"), gone=("conf/model/ebm.yaml",)),
    Edit(
        "renamed, changed there",
        _move("conf/split/hash.yaml", "conf/split/mine.yaml"),
        gone=("conf/split/hash.yaml",),
    ),
    Edit(
        "edited, deleted there",
        _edit("conf/model/quantile.yaml", "quantile: 0.9", "quantile: 0.95"),
        ("quantile: 0.95",),
        conflict=True,
    ),
    Edit(
        "edited, renamed there",
        _edit("deploy/services/prometheus.yml", "15s,", "30s,"),
        ("scrape_interval: 30s",),
    ),
    Edit(
        "function appended where one is",
        _append("src/project/features.py", OWN_FUNCTION),
        ("def halved(",),
    ),
    Edit(
        "function inserted amid changes",
        _edit("src/policy/rules.py", "    at_least: float\n", INSERTED),
        ("def is_low(",),
    ),
    Edit("dependency and lock", _depend, ("humanize>=4", "humanize==4.9.0")),
    Edit("reformatted", _reformat, ('\n    title="Recall in the top tenth",\n',)),
    Edit("executable bit and link", _links),
    Edit("runner of a workflow", _edit(CHECK, RUNNER, OWN_RUNNER), ("[self-hosted, gpu]",)),
    Edit("own table", _own_table, ("use: loans", "name: loans"), gone=("conf/data/churn.yaml",)),
    Edit("the same change", _edit(TRAINING, "threads: 1", "threads: 2")),
    Edit("CRLF", lambda at: _crlf(at / "src/project/cleaning.py"), ("\r\n",)),
    Edit("answer changed by hand", _answer, ("Predicts who leaves",)),
    Edit("ignored secret", _write(".env", "TOKEN=abc\n"), ("TOKEN=abc",)),
)
FOUND = (
    Edit("conf, the line beside", _edit(TRAINING, "folds: 0", "folds: 5"), ("folds: 5",)),
    Edit(
        "key that is renamed later",
        _edit(TRAINING, "transform: none", "transform: sqrt"),
        (": sqrt",),
    ),
    Edit("what a run and a promotion write", _run, tuple(WRITTEN.values())),
    Edit("line of a list", _append(".gitignore", "/ours\n"), ("/ours",)),
    Edit(
        "own file in a folder",
        _write("conf/model/own.yaml", "_target_: mine\n"),
        ("_target_: mine",),
    ),
    Edit(
        "renamed, renamed there otherwise",
        _move("deploy/services/prometheus.yml", "deploy/services/own.yml"),
        conflict=True,
    ),
    Edit(
        "statement beside a changed one",
        _edit("src/policy/rules.py", "        spread = float(case", BESIDE),
        ("# mine",),
        conflict=True,
    ),
)
EDITS = (*TRIED, *FOUND)
