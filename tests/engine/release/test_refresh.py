"""A refresh is a branch and a pull request, made by declared rules, and nothing else changes."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.bundle import manifest, verdict
from mlops.data.sample import write
from mlops.release import closing, refresh
from mlops.release.gathering import SCRATCH

GH = Path(__file__).with_name("pull_requests.py")
IGNORED = (
    "/trained\n/candidate\n/data/raw\n/data/prepared\n/reports\n/deploy/*/champion\n__pycache__\n"
)
SOURCES = """
from pathlib import Path

import pandas as pd


def months():
    for path in sorted(Path("../source").glob("*.parquet")):
        yield pd.read_parquet(path)


def broken():
    yield pd.DataFrame({"month": ["x"]})
    raise ConnectionError("the warehouse is away")
"""
PARAMS = """\
# The experiment.
model: {use: boosting, max_iter: 20}
split: {use: time, cutoff: "2025-02-01", holdout_days: 20}  # by time
evaluation: {resamples: 50}
"""
TODAY = "2026-11-27"
SIZE = 60  # rows a month


class Shop:
    """A project whose champion is served, with a remote, and what its people do."""

    def __init__(self, workshop: Any) -> None:
        self.workshop, self.root = workshop, workshop.root
        self.git, self.write = workshop.git, workshop.write
        self.place = self.root.parent / "pulls.json"

    def months(self, count: int) -> None:
        """Have the owner's source hold so many months."""
        write(self.root.parent / "source", SIZE * count, count)

    def on_main(self, name: str, old: str, new: str) -> None:
        """Change a file of main, here and at the remote."""
        self.workshop.replace(name, old, new)
        self.workshop.commit(f"Change {name}")
        self.git("push", "-q", "origin", "main")

    def refresh(self, *arguments: str) -> int:
        return int(self.workshop.mlops("refresh", "--at", TODAY, *arguments))

    def remote(self) -> dict[str, str]:
        """Return the references at the remote but main, which nobody may move."""
        told = [line.split("\t") for line in self.git("ls-remote", "origin").splitlines()]
        refs = {ref: commit for commit, ref in told}
        assert refs.pop("refs/heads/main") == refs.pop("HEAD") == self.git("rev-parse", "main")
        return refs

    def untouched(self) -> tuple[str, ...]:
        """Return what a refresh must leave as it is."""
        raw = {p.name: p.stat().st_mtime_ns for p in (self.root / "data/raw").iterdir()}
        told = ("rev-parse HEAD", "status --porcelain", "branch", "ls-files --stage")
        return (*(self.git(*one.split()) for one in told), str(raw))

    @property
    def pulls(self) -> dict[str, Any]:
        return dict(json.loads(self.place.read_text()))

    def gh(self, **changes: Any) -> None:
        begun = {"pulls": [], "started": [], "calls": [], "fails": "", "login": "somebody"}
        known = json.loads(self.place.read_text()) if self.place.exists() else begun
        self.place.write_text(json.dumps(known | changes))

    def report(self, *alerts: tuple[str, str], **changes: Any) -> str:
        """Write the monitor's report, with the kinds and reasons of its alerts."""
        found = [{"rule": "log_loss", "kind": k, "part": "", "reason": r} for k, r in alerts]
        content = {
            "format": 1,
            "verdict": "alert" if alerts else "quiet",
            "name": "churn",
            "at": TODAY,
            "model": {"sha256": manifest.bundle_digest(self.root / "trained/middle")},
            "alerts": found,
        }
        folder = self.root / "reports/monitor"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "monitor.json").write_text(json.dumps(verdict.sealed(content | changes)))
        (folder / "monitor.md").write_text("# Seen\n\n@somebody ```\n<b>x</b>\n")
        return "reports/monitor/monitor.json"


@pytest.fixture(scope="module")
def furnished(crowned: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The promoted project with an owner's source and a remote; not to be changed."""
    workshop = type(crowned).copied(crowned, tmp_path_factory.mktemp("furnished"))
    shop = Shop(workshop)
    workshop.git("checkout", "-q", "main")
    workshop.write(".gitignore", IGNORED)
    workshop.write("src/project/sources.py", SOURCES)
    workshop.write("params.yaml", PARAMS)
    workshop.replace(
        "conf/data/churn.yaml", "{format: parquet}", "{format: parquet, ingest: months}"
    )
    shop.months(2)
    shutil.rmtree(workshop.root / "data")
    shutil.copytree(workshop.root.parent / "source", workshop.root / "data/raw")
    with chdir(workshop.root), pytest.MonkeyPatch.context() as patch:
        own_code(workshop.root, patch)
        shutil.rmtree("data/raw")
        assert workshop.mlops("ingest") == 0
        forget()
    workshop.dvc("add", "--quiet", "data/raw")
    workshop.dvc("push", "--quiet")
    workshop.commit("Data")
    workshop.git("init", "-q", "--bare", "-b", "main", "../origin.git")
    workshop.git("remote", "add", "origin", "../origin.git")
    workshop.git("push", "-q", "origin", "main")
    return workshop


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
        del sys.modules[name]


def own_code(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the engine find this project's sources."""
    forget()
    patch.syspath_prepend(str(root / "src"))


@pytest.fixture
def alone(furnished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A copy of it with a third month at the source, without `gh`."""
    shop = Shop(type(furnished).copied(furnished, tmp_path))
    shop.months(3)
    own_code(shop.root, monkeypatch)
    yield shop
    forget()


def equip(shop: Shop, place: Path, patch: pytest.MonkeyPatch) -> None:
    """Give a shop `gh`."""
    (place / "bin").mkdir()
    (place / "bin/gh").write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n')
    (place / "bin/gh").chmod(0o755)
    patch.setenv("PATH", str(place / "bin"), prepend=":")
    patch.setenv("PULLS", str(shop.place))
    patch.setenv("ORIGIN", str(shop.root.parent / "origin.git"))
    shop.gh()


@pytest.fixture
def shop(alone: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The same with `gh`."""
    equip(alone, tmp_path, monkeypatch)
    return alone


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return the one sentence on stderr."""

    def sentence() -> str:
        said = capsys.readouterr().err
        assert said.startswith("mlops refresh: ")
        assert said.count("\n") == 1, said
        return said

    return sentence


def test_new_rows_become_a_pull_request_and_nothing_else_changes(shop: Shop) -> None:
    before = shop.untouched()
    reason = "log_loss is .52, and was .41 when it was made"
    twice = 2 * [("performance", reason)]  # in two windows
    assert shop.refresh("--because", shop.report(*twice)) == 0
    assert shop.untouched() == before
    assert not (shop.root / SCRATCH).exists()
    branch, memory = f"refs/heads/refresh/{TODAY}", f"refs/mlops/refresh/{TODAY}"
    commit = shop.remote()[branch]
    assert shop.remote() == {branch: commit, memory: commit}
    assert shop.git("rev-parse", f"{commit}~1") == shop.git("rev-parse", "main")
    assert shop.git("diff", "--name-only", "main", commit).split() == [
        "data/raw.dvc",
        "params.yaml",
    ]
    moved = PARAMS.replace("2025-02-01", "2025-02-09")  # 20 days before 2025-03-01
    assert shop.git("show", f"{commit}:params.yaml") == moved.strip()
    (pull,) = shop.pulls["pulls"]
    assert pull["title"] == f"Refresh of {TODAY}"
    assert f"text\n- {reason}\n\n60 rows are new.\n" in pull["body"]
    assert "The cut-off moves from 2025-02-01 to 2025-02-09, by its rule." in pull["body"]
    assert "````text\n# Seen\n\n@somebody ```\n<b>x</b>\n````" in pull["body"]
    shop.git("checkout", "-q", commit)
    shutil.rmtree(shop.root / ".dvc/cache")
    shop.workshop.dvc("pull", "--quiet", "--force", "data/raw.dvc")  # its data are at the remote


def test_without_gh_it_says_what_to_do(alone: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert alone.refresh() == 0
    assert f"refresh/{TODAY} is pushed: open a pull request" in capsys.readouterr().out
    assert len(alone.remote()) == 2


@pytest.mark.parametrize(
    ("months", "days", "said"),
    [
        (2, 20, "no row that is new"),
        (3, 31, "60 rows are new and none of them trains"),
        (3, None, "split.holdout_days in params.yaml is the rule"),
    ],
)
def test_without_rows_to_learn_from_nothing_is_left(
    shop: Shop, capsys: pytest.CaptureFixture[str], months: int, days: int | None, said: str
) -> None:
    shop.months(months)
    rule = f"holdout_days: {days}" if days else "holdout_days: null"
    shop.on_main("params.yaml", "holdout_days: 20", rule)
    before = shop.untouched()
    assert shop.refresh() == 0
    assert said in capsys.readouterr().out
    assert shop.untouched() == before
    assert shop.remote() == {}
    assert shop.pulls["pulls"] == []


def test_the_same_rows_written_otherwise_are_not_new(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.months(2)
    text = SOURCES.replace("sorted(", "reversed(sorted(").replace(
        "):\n        yield", ")):\n        yield", 1
    )
    shop.on_main("src/project/sources.py", SOURCES, text)
    forget()
    assert shop.refresh() == 0
    assert "no row that is new" in capsys.readouterr().out


def test_a_stage_that_makes_the_raw_data_is_pinned_by_the_lock(shop: Shop) -> None:
    (out,) = yaml.safe_load((shop.root / "data/raw.dvc").read_text())["outs"]
    lock = {
        "schema": "2.0",
        "stages": {
            "ingest": {"cmd": "x", "outs": [{**out, "path": "data/raw"}]},
            "bundle": {"cmd": "true", "outs": [{"path": "candidate", "md5": "0" * 32}]},
        },
    }
    shop.git("rm", "-q", "--cached", "data/raw.dvc")
    (shop.root / "data/raw.dvc").unlink()
    shop.write(".gitignore", f"{IGNORED}/data\n")
    shop.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    shop.workshop.commit("A stage")
    shop.git("push", "-q", "origin", "main")
    assert shop.refresh() == 0
    commit = shop.remote()[f"refs/heads/refresh/{TODAY}"]
    assert shop.git("diff", "--name-only", "main", commit).split() == ["dvc.lock", "params.yaml"]
    made = yaml.safe_load(shop.git("show", f"{commit}:dvc.lock"))["stages"]
    assert made["bundle"] == lock["stages"]["bundle"]  # type: ignore[index]
    (raw,) = made["ingest"]["outs"]
    assert (raw["path"], raw["md5"] != out["md5"]) == ("data/raw", True)


def ingested(shop: Shop, months: int) -> str:
    """Have `mlops ingest` bring so many months by day to main; return its commit."""
    shop.months(months)
    forget()
    assert shop.workshop.mlops("ingest") == 0
    shop.workshop.dvc("add", "--quiet", "data/raw")
    shop.workshop.dvc("push", "--quiet")
    shop.workshop.commit(f"{months} months")
    shop.git("push", "-q", "origin", "main")
    return str(shop.git("rev-parse", "HEAD"))


def partitioned(shop: Shop) -> None:
    """Have the champion be of two months that `mlops ingest` brought."""
    shutil.rmtree(shop.root / "data/raw")
    partition = "ingest: months, partition: {by: month}"
    shop.on_main("conf/data/churn.yaml", "ingest: months", partition)
    of_champion = ingested(shop, 2)
    release = yaml.safe_load((shop.root / "deploy/production/release.yaml").read_text())
    shop.on_main("deploy/production/release.yaml", release["commit"], of_champion)


def test_of_rows_that_ingest_brought_those_of_main_are_learned_from(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    partitioned(shop)
    known = ingested(shop, 3)
    shop.months(4)  # which no pull request of `mlops ingest` has brought
    before = shop.untouched()
    assert shop.refresh() == 0, capsys.readouterr().err
    assert shop.untouched() == before
    branch = shop.remote()[f"refs/heads/refresh/{TODAY}"]
    assert shop.git("diff", "--name-only", known, branch) == "params.yaml"
    message = shop.git("log", "-1", "--format=%B", branch)
    assert "rows of main train that the champion was not trained with" in message
    assert "The cut-off moves from 2025-02-01 to" in message


def test_rows_that_ingest_brought_are_not_learned_from_twice(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    partitioned(shop)
    shop.on_main("params.yaml", "holdout_days: 20", "holdout_days: 31")
    assert shop.refresh() == 0
    assert "0 rows are new and none of them trains" in capsys.readouterr().out
    assert shop.remote() == {}


def test_where_the_cutoff_stands_it_is_moved(shop: Shop) -> None:
    shop.on_main(
        "params.yaml", 'cutoff: "2025-02-01", holdout_days: 20', "holdout_days: {time: 20}"
    )
    shop.on_main("conf/split/time.yaml", "cutoff: ???", 'cutoff: "2025-02-01"')
    assert shop.refresh() == 0
    commit = shop.remote()[f"refs/heads/refresh/{TODAY}"]
    text = shop.git("show", f"{commit}:conf/split/time.yaml")
    assert 'cutoff: "2025-02-09"  # a date' in text
    assert "params.yaml" not in shop.git("diff", "--name-only", "main", commit)


def test_a_refresh_may_search_where_the_experiment_does_not(shop: Shop) -> None:
    shop.on_main("conf/monitoring/standard.yaml", "tuning: null", "tuning: optuna")
    assert shop.refresh() == 0
    commit = shop.remote()[f"refs/heads/refresh/{TODAY}"]
    assert yaml.safe_load(shop.git("show", f"{commit}:params.yaml"))["tuning"] == {"use": "optuna"}


Harm = Callable[[Shop], object]
REFUSED: dict[str, tuple[Harm, str]] = {
    "changed": (
        lambda shop: shop.write("params.yaml", f"{PARAMS}seed: 1\n"),
        "differs from the last",
    ),
    "untracked": (lambda shop: shop.write("notes.txt", "x"), "differs from the last commit"),
    "ahead": (
        lambda shop: shop.workshop.commit("Ahead"),
        "main has commits that the remote has not: `git push` first",
    ),
    "branch": (
        lambda shop: (
            shop.git("checkout", "-q", "-b", "other"),
            shop.workshop.commit("Ahead"),
        ),
        "not the last commit of main: `git checkout main && git pull`",
    ),
    "behind": (
        lambda shop: (
            shop.workshop.commit("Pushed"),
            shop.git("push", "-q", "origin", "main"),
            shop.git("reset", "-q", "--hard", "HEAD~1"),
        ),
        "not the last commit of main",
    ),
    "no source": (
        lambda shop: shop.on_main("conf/data/churn.yaml", ", ingest: months", ""),
        "name a function of src/project/sources.py",
    ),
    "broken source": (
        lambda shop: shop.on_main("conf/data/churn.yaml", "ingest: months", "ingest: broken"),
        "ConnectionError: the warehouse is away",
    ),
    "contract": (
        lambda shop: shop.on_main("conf/data/churn.yaml", "[web, app, store]", "[web, app]"),
        "channel",
    ),
    "no champion": (
        lambda shop: (
            shop.git("rm", "-rq", "deploy/production"),
            shop.workshop.commit("None"),
            shop.git("push", "-q", "origin", "main"),
        ),
        "production declares no model",
    ),
    "tuning": (
        lambda shop: shop.on_main("conf/monitoring/standard.yaml", "tuning: null", "tuning: more"),
        "tuning.use is 'more'",
    ),
    "policy": (
        lambda shop: shop.on_main(
            "conf/monitoring/standard.yaml", "cooldown_days: 14", "cooldown_days: -1"
        ),
        "`cooldown_days` cannot be negative",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_in_order_is_refused(shop: Shop, told: Callable[[], str], name: str) -> None:
    harm, said = REFUSED[name]
    harm(shop)
    before, main = shop.untouched(), shop.git("ls-remote", "origin")
    assert shop.refresh() == 2
    sentence = told() if name != "contract" else ""
    assert said in sentence or name == "contract"
    assert shop.untouched() == before
    assert shop.git("ls-remote", "origin") == main
    assert not (shop.root / SCRATCH).exists()


ALERT = ("performance", "x")
UNCOUNTED: list[tuple[list[tuple[str, str]], dict[str, Any], str]] = [
    ([("quality", "x"), ("quality", "a week of x"), ALERT], {}, "the data are broken (log_loss)"),
    ([ALERT], {"at": "2026-11-23"}, "is of 2026-11-23, and this is 2026-11-27"),
    ([ALERT], {"at": "2027-01-01"}, "is of 2027-01-01"),
    ([ALERT], {"at": "soon"}, "lacks what it should say"),
    ([ALERT], {"model": {"sha256": "0" * 64}}, "is of the model 000000000000"),
    ([ALERT], {"alerts": [3]}, "lacks what it should say"),
    ([ALERT], {"format": 2}, "format or verdict unknown"),
    ([ALERT], {"verdict": "fine"}, "format or verdict unknown"),
]


def test_a_report_that_does_not_count_is_refused(shop: Shop, told: Callable[[], str]) -> None:
    for alerts, changes, said in UNCOUNTED:
        code = 1 if alerts[0][0] == "quality" else 2
        assert shop.refresh("--because", shop.report(*alerts, **changes)) == code
        assert said in told()
    path = shop.root / shop.report(ALERT)
    text = path.read_text()
    for edited in (text.replace('"x"', '"y"'), text[:50], "[]", ""):
        path.write_text(edited)
        assert shop.refresh("--because", "reports/monitor/monitor.json") == 2
        assert "run `mlops monitor` again" in told()
    path.unlink()
    assert shop.refresh("--because", "reports/monitor/monitor.json") == 2
    assert "run `mlops monitor` first" in told()
    assert shop.remote() == {}


def test_it_is_asked_for_by_an_alert_or_by_the_calendar(shop: Shop) -> None:
    for alerts, every in (([], []), ([("drift", "x")], []), ([], ["--every", "36500"])):
        assert shop.refresh("--because", shop.report(*alerts), *every) == 0
        assert shop.remote() == {}
    assert shop.refresh("--because", shop.report(), "--every", "0") == 0
    (pull,) = shop.pulls["pulls"]
    assert "- asked for by hand\n" in pull["body"]


def test_one_at_a_time_and_none_within_the_cool_down(
    shop: Shop, told: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.refresh() == 0
    capsys.readouterr()
    assert shop.refresh() == 1
    assert "another refresh is open (https://github.com/acme/churn/pull/1): merge it" in told()
    (pull,) = shop.pulls["pulls"]
    shop.gh(pulls=[{**pull, "state": "CLOSED"}])
    shop.git("push", "-q", "origin", f":refs/heads/refresh/{TODAY}")
    for day, refused in (("2026-11-27", True), ("2026-12-10", True), ("2026-12-11", False)):
        assert shop.workshop.mlops("refresh", "--at", day) == int(refused)
        assert not refused or "14 days lie between two: wait until 2026-12-11" in told()
    assert [one["headRefName"] for one in shop.pulls["pulls"]] == [
        f"refresh/{TODAY}",
        "refresh/2026-12-11",
    ]


def test_without_gh_a_branch_that_is_not_merged_is_open(
    alone: Shop, told: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert alone.refresh() == 0
    capsys.readouterr()
    assert alone.workshop.mlops("refresh", "--at", "2026-12-24") == 1
    assert f"another refresh is open (the branch refresh/{TODAY})" in told()


def test_a_branch_of_somebody_with_that_name_is_left_alone(shop: Shop) -> None:
    for name in ("refresh/mine", "refresh/2026-99-99", "refresh/2026-11-20"):
        shop.git("push", "-q", "origin", f"HEAD:refs/heads/{name}")
    assert shop.refresh() == 0
    assert [one["headRefName"] for one in shop.pulls["pulls"]] == [f"refresh/{TODAY}"]


FAILS = ["pr list", "pr create", "workflow run"]


@pytest.mark.parametrize("call", FAILS)
def test_where_gh_fails_the_next_run_goes_on(
    shop: Shop, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    shop.gh(fails=call)
    before = shop.untouched()
    assert shop.refresh() == 2
    assert "HTTP 502" in told()
    assert shop.untouched() == before
    made = shop.remote()
    assert shop.refresh() == 0
    assert made in ({}, shop.remote())  # what was pushed is gone on from
    (pull,) = shop.pulls["pulls"]
    assert "60 rows are new." in pull["body"]
    assert shop.pulls["started"][-1] == ["model.yml", f"refresh/{TODAY}"]
    assert shop.refresh() == 1
    assert len(shop.pulls["pulls"]) == 1


@pytest.mark.parametrize("at", ["dvc_add", "made", "_push"])
def test_killed_anywhere_it_starts_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from mlops.git import commits, dvc
    from mlops.release import gathering

    owner: Any = {"dvc_add": dvc, "made": commits, "_push": refresh}[at]
    before = shop.untouched()

    def killed(*_: object) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr(owner, at, killed)
        patch.setattr(gathering.shutil, "rmtree", lambda *_, **__: None)  # nobody tidies up
        with pytest.raises(SystemExit):
            shop.refresh()
    assert shop.remote() == {}
    assert shop.refresh() == 0
    assert shop.untouched() == before
    assert len(shop.remote()) == 2


def test_what_a_killed_fetch_left_is_no_change(shop: Shop) -> None:
    (shop.root / "fetched.999999999.x").mkdir()
    (shop.root / "fetched.999999999.x/champion.dvc").touch()
    (shop.root / "fetched.1.x").mkdir()  # of a process that runs
    assert shop.refresh() == 0
    assert [path.name for path in shop.root.glob("fetched.*")] == ["fetched.1.x"]


@pytest.fixture(scope="module")
def opened(furnished: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project whose refresh automation opened; not to be changed."""
    place = tmp_path_factory.mktemp("opened")
    with pytest.MonkeyPatch.context() as patch:
        shop = Shop(type(furnished).copied(furnished, place / "made"))
        shop.months(3)
        own_code(shop.root, patch)
        equip(shop, place, patch)
        shop.gh(login="app/github-actions")
        assert shop.refresh() == 0
        forget()
    return shop.workshop


@pytest.fixture
def closed(opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A copy of it."""
    shop = Shop(type(opened).copied(opened, tmp_path / "made"))
    equip(shop, tmp_path, monkeypatch)
    return shop


@pytest.fixture
def rejected(closed: Shop, tmp_path: Path) -> Callable[..., str]:
    """Return what closing says of a refresh that automation opened and the gate has judged."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "proposal.md").write_text("## Rejected\n")
    commit = closed.remote()[f"refs/heads/refresh/{TODAY}"]

    def told(verdict: str = "rejected", branch: str = f"refresh/{TODAY}", at: str = commit) -> str:
        (folder / "gate.json").write_text(json.dumps({"verdict": verdict}))
        with chdir(closed.root):
            return closing.told(folder, branch, at, closed.workshop.repository)

    return told


def test_a_refresh_that_is_no_better_closes_itself(
    closed: Shop, rejected: Callable[..., str], told: Callable[[], str]
) -> None:
    said = rejected()
    assert said.endswith(f"since the gate rejected it, and refresh/{TODAY} is deleted")
    (pull,) = closed.pulls["pulls"]
    assert pull["state"] == "CLOSED"
    assert pull["comments"] == [f"{closing.NO_BETTER}## Rejected\n"]
    assert [*closed.remote()] == [f"refs/mlops/refresh/{TODAY}"]
    assert rejected().endswith("is gone already, or somebody pushed to it")
    assert closed.refresh() == 1  # its cool-down counts
    assert "the last refresh was on 2026-11-27" in told()


def test_a_refresh_that_passed_is_told_and_stays(
    closed: Shop, rejected: Callable[..., str]
) -> None:
    assert rejected("passed") == "https://github.com/acme/churn/pull/1 has the report"
    (pull,) = closed.pulls["pulls"]
    assert (pull["state"], pull["comments"]) == ("OPEN", ["## Rejected\n"])


@pytest.mark.parametrize(
    "changes",
    [
        {"author": {"login": "somebody"}},
        {"isCrossRepository": True},
        {"state": "MERGED"},
    ],
    ids=["person", "fork", "merged"],
)
def test_what_automation_did_not_open_is_not_closed(
    closed: Shop, rejected: Callable[..., str], changes: dict[str, Any]
) -> None:
    (pull,) = closed.pulls["pulls"]
    closed.gh(pulls=[pull | changes])
    before = closed.remote()
    assert rejected().endswith("nothing to do")
    assert closed.pulls["pulls"] == [pull | changes]
    assert closed.remote() == before


def test_other_branches_and_other_commits_are_not_closed(
    closed: Shop, rejected: Callable[..., str]
) -> None:
    before, pulls = closed.remote(), closed.pulls["pulls"]
    for branch in ("refresh/mine", f"refresh/{TODAY}/x", "main", f"x/refresh/{TODAY}"):
        assert "nothing to do" in rejected(branch=branch)
    assert "has got other commits" in rejected(at="0" * 40)
    assert (closed.remote(), closed.pulls["pulls"]) == (before, pulls)


def test_the_branch_of_new_data_is_told_and_stays(
    closed: Shop, rejected: Callable[..., str]
) -> None:
    (pull,) = closed.pulls["pulls"]
    closed.git("push", "-q", "origin", f"{pull['headRefOid']}:refs/heads/ingest/data")
    closed.gh(pulls=[pull | {"headRefName": "ingest/data"}])
    before = closed.remote()
    assert rejected(branch="ingest/data").endswith("has the report")
    (pull,) = closed.pulls["pulls"]
    assert (pull["state"], pull["comments"]) == ("OPEN", ["## Rejected\n"])
    assert closed.remote() == before


def test_without_a_verdict_nothing_is_closed(closed: Shop, rejected: Callable[..., str]) -> None:
    assert "has the report" in rejected("could not be judged")
    assert closed.pulls["pulls"][0]["state"] == "OPEN"
