"""What changed in the data since a commit, and the pull request that says so."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE

from mlops.cli import main
from mlops.ingestion.summary import Tally, stability

from .conftest import COLUMNS, KEYED, QUERY, Shop, order

GH = Path(__file__).parents[1] / "release/pull_requests.py"
POINTER = "data/tables/orders.dvc"


class Project(Shop):
    """A shop in git, with a DVC remote, whose table is declared in conf/."""

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def declare(self, columns: dict[str, Any] = COLUMNS, **fields: Any) -> None:
        """Declare the table of orders."""
        origin = {"kind": "sql", "url": "sqlite:///shop.db", "query": QUERY}
        declared = {
            "keys": ["customer"],
            "event_time": "ordered_at",
            "known_time": "updated_at",
            "columns": columns,
            "source": {"origin": origin, "partition": KEYED},
            **fields,
        }
        place = self.root / "conf/tables/orders.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(yaml.safe_dump(declared, sort_keys=False))

    def commit(self, message: str = "Change") -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "main")

    @property
    def pulls(self) -> dict[str, Any]:
        return dict(json.loads((self.root.parent / "pulls.json").read_text()))


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three days of orders on main; not to be changed."""
    place = tmp_path_factory.mktemp("settled")
    made = Project(place / "project")
    made.root.mkdir()
    shutil.copytree(SOURCE / "conf", made.root / "conf")
    shutil.copytree(SOURCE / "requirements", made.root / "requirements")
    shutil.copy(SOURCE / "params.yaml", made.root)
    (made.root / ".gitignore").write_text("*.db\n/.mlops/\n.*.tmp\n")
    made.declare()
    made.git("init", "-q", "-b", "main")
    (made.root / ".dvc").mkdir()
    (made.root / ".dvc/config").write_text(
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n"
    )
    (made.root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    made.git("init", "-q", "--bare", "-b", "main", "../origin.git")
    made.git("remote", "add", "origin", "../origin.git")
    made.sell([order(n, f"2026-01-0{1 + n % 3}", amount=n / 4) for n in range(60)])
    with chdir(made.root):
        assert main(["ingest"]) == 0
    made.dvc("add", "-q", "data/tables/orders")
    made.dvc("push", "-q")
    made.commit("Start")
    return place


@pytest.fixture
def project(settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A copy of it, with `gh`."""
    shutil.copytree(settled, tmp_path, symlinks=True, dirs_exist_ok=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n')
    (tmp_path / "bin/gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULLS", str(tmp_path / "pulls.json"))
    monkeypatch.setenv("ORIGIN", str(tmp_path / "origin.git"))
    begun = {"pulls": [], "started": [], "calls": [], "fails": "", "login": "somebody"}
    (tmp_path / "pulls.json").write_text(json.dumps(begun))
    with chdir(tmp_path / "project"):
        yield Project(tmp_path / "project")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a verb and return what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


LATE = "2026-02-01 00:00:00"
NEXT = [
    *(order(100 + n, "2026-01-04", LATE, None if n % 2 else 90.0) for n in range(40)),
    order(1, "2026-01-02", LATE, 77.0),
    order(2, None, LATE, deleted=1),
]


def test_rows_keys_and_distributions(project: Project, told: Callable[..., str]) -> None:
    assert "Nothing changed since <code>HEAD</code>." in told("data", "diff")
    project.sell(NEXT)
    told("ingest", "--since", "2026-01-01")
    page = told("data", "diff")
    assert "1 files are new and 2 changed since <code>HEAD</code>, 0 are gone." in page
    assert "| rows | 60 | 99 | +39 |" in page
    assert "By <code>order_id</code>: 40 new, 1 changed, 1 gone." in page
    assert "What came is as the contract says." in page
    (amount,) = [line for line in page.splitlines() if line.startswith("| <code>amount")]
    cells = [cell.strip() for cell in amount.strip("|").split("|")]
    assert cells[1:3] == ["0.0%", "25.3%"]
    assert cells[3:5] == ["mean 7.375", "mean 36.89"]
    assert cells[5].startswith("**")  # a large shift
    (channel,) = [line for line in page.splitlines() if line.startswith("| <code>channel")]
    assert "<code>app</code> 100.0%" in channel
    out = project.root / "page.md"
    told("data", "diff", "--against", "main", "--out", str(out))
    assert "40 new, 1 changed, 1 gone" in out.read_text()


def test_what_breaks_the_contract_is_told(project: Project, told: Callable[..., str]) -> None:
    good = order(200, "2026-01-04", LATE)
    project.sell(
        [(*good[:6], "|fax @you", 0), (*order(201, "2026-01-04", LATE)[:4], "much", 1, "app", 0)]
    )  # type: ignore[list-item]
    told("ingest", "--since", "2026-01-01")
    page = told("data", "diff")
    assert "<code>channel</code> is not one of app, web: 1 rows, as " in page
    assert "'&#124;fax &#64;&#8203;you'" in page
    assert "<code>amount</code> is not a number: 1 rows" in page


@pytest.mark.parametrize("how", ["pii", "restricted"])
def test_no_value_of_a_hidden_column_is_told(
    project: Project, told: Callable[..., str], how: str
) -> None:
    """Planted values stand in what came and in what was there."""
    hidden = {n: {**c, "pii": True} for n, c in COLUMNS.items() if n in ("amount", "channel")}
    if how == "pii":
        project.declare({**COLUMNS, **hidden})
    else:
        project.declare(restricted=True)
    good = order(200, "2026-01-04", LATE, 123456.0)
    project.sell([(*good[:6], "planted-label", 0), good])  # type: ignore[list-item]
    told("ingest", "--since", "2026-01-01")
    page = told("data", "diff")
    assert "is not one of app, web: 1 rows\n" in page
    assert "not shown" in page
    for planted in ("planted", "1.235e+05", "mean", "123456", "100.0%"):
        assert planted not in page.replace("100.0% true", ""), planted


def test_a_commit_without_the_data_has_none_of_it(
    project: Project, told: Callable[..., str]
) -> None:
    project.git("rm", "-q", POINTER)
    project.git("commit", "-q", "-m", "Without")
    page = told("data", "diff")
    assert "3 files are new and 0 changed" in page
    assert "| rows | 0 | 60 | +60 |" in page
    shutil.rmtree(project.folder)
    assert "fetch it (`mlops ingest`)" in told("data", "diff", code=2)
    told("ingest")  # the remedy
    assert "60 new" in told("data", "diff")
    assert "--table other is none of what is declared: choose from data, orders" in told(
        "data", "diff", "--table", "other", code=2
    )


def test_the_pull_request_of_new_data_is_written_anew_until_it_is_merged(
    project: Project, told: Callable[..., str]
) -> None:
    """Killed before it is open, opened, edited, left alone where somebody else is at work."""
    propose = ("ingest", "--propose", "--since", "2026-01-01")
    tip = partial(project.git, "ls-remote", "--heads", "origin", "ingest/data")
    assert "nothing to propose" in told("ingest", "--propose")
    head = project.git("rev-parse", "HEAD")
    project.sell(NEXT)
    (project.root.parent / "pulls.json").write_text(
        json.dumps({**project.pulls, "fails": "pr create"})
    )
    assert "`gh pr create` failed" in told(*propose, code=2)
    first = tip().split()[0]
    assert project.git("rev-parse", f"{first}^") == head
    assert project.git("diff", "--name-only", head, first) == POINTER
    assert project.git("rev-parse", "HEAD") == head

    assert "pull/1 is open" in told(*propose)
    assert tip().split()[0] == first  # the same data are the same branch
    (pull,) = project.pulls["pulls"]
    assert (pull["title"], pull["headRefName"]) == ("New data: orders", "ingest/data")
    assert "40 new, 1 changed, 1 gone" in pull["body"]

    project.sell([*NEXT, order(300, "2026-01-05", LATE)])
    tree = f"{first}^{{tree}}"
    mine = ["git", "commit-tree", tree, "-p", first, "-m", "Mine"]
    who = {**os.environ, "GIT_COMMITTER_EMAIL": "mine@example.invalid"}
    made = subprocess.run(mine, capture_output=True, text=True, env=who, check=True)
    project.git("push", "-q", "origin", f"{made.stdout.strip()}:refs/heads/ingest/data")
    said = told(*propose, code=2)
    assert "has commits of mine@example.invalid, which would be lost" in said
    project.git("push", "-q", "origin", ":refs/heads/ingest/data")  # the remedy

    assert "pull/1 has the new data" in told(*propose)
    (pull,) = project.pulls["pulls"]
    assert "41 new, 1 changed, 1 gone" in pull["body"]
    last = tip().split()[0]
    assert project.git("rev-parse", f"{last}^") == head
    # Its data are at the remote, for whoever has nothing else.
    project.git("checkout", "-q", "--force", last)
    shutil.rmtree(project.root / ".dvc/cache")
    shutil.rmtree(project.folder)
    project.dvc("pull", "-q", "--force", POINTER)
    assert len(project.rows()) == 100


def test_the_pull_request_names_days_that_may_be_kept_no_longer(
    project: Project, told: Callable[..., str]
) -> None:
    project.declare(retention="30 days")
    project.commit("Keep rows for a month")
    today = datetime.datetime.now(datetime.UTC).date()
    project.sell([order(300, str(today))])
    said = told("ingest", "--dry-run")
    assert "check: 3 partitions are older" in said
    assert "would be removed: 2026-01-01, 2026-01-02, 2026-01-03" in said
    assert "check: 3 partitions are older" in told("ingest", "--propose")
    (pull,) = project.pulls["pulls"]
    assert "3 are gone" in pull["body"]
    told_of = "3 of them are older than `retention`, <code>30 days</code>: 2026-01-01, 2026-01-02"
    assert told_of in pull["body"]


def test_what_is_not_main_proposes_nothing(project: Project, told: Callable[..., str]) -> None:
    (project.root / "params.yaml").write_text((project.root / "params.yaml").read_text() + "\n")
    assert "params.yaml differs from the last commit" in told("ingest", "--propose", code=2)
    project.git("commit", "-qam", "Mine")
    assert "not the last commit of main at the remote" in told("ingest", "--propose", code=2)
    project.git("push", "-q", "origin", "main")  # the remedy
    assert "nothing to propose" in told("ingest", "--propose")
    stage = {"stages": {"mine": {"cmd": "true", "outs": ["data/tables/orders"]}}}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(stage))
    project.commit("Stage")
    assert "the stage mine of dvc.yaml makes data/tables/orders" in told(
        "ingest", "--propose", code=2
    )


def test_days_on_the_command_line(
    project: Project, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "written, 3 as they were" in told("ingest", "--since", "2026-01-01")
    days = (datetime.datetime.now(datetime.UTC).date() - datetime.date(2026, 1, 2)).days
    said = told("ingest", "--since", f"{days}d", "--until", "2026-01-03")
    assert "0 written, 1 as they were" in said
    with pytest.raises(SystemExit):
        main(["ingest", "--since", "soon"])
    assert "no day like 2026-01-31, and no number of days like 3d" in capsys.readouterr().err


def test_stability_is_none_where_nothing_moved() -> None:
    import numpy as np

    draw = np.random.default_rng(0)
    same = [Tally(rows=5000, sample=[draw.normal(size=5000)]) for _ in range(2)]
    moved = Tally(rows=5000, sample=[draw.normal(1.0, size=5000)])
    assert (stability(*same) or 0) < 0.01
    assert (stability(same[0], moved) or 0) > 0.5
    assert stability(Tally(), moved) is None
