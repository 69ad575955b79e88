"""The loop from end to end: the real workflows of a generated project, on a rehearsed GitHub.

Not executed here: the installation from the locks (`test_project.py` does it), `mypy` in
`make check` (likewise), and its `pytest` but where a project's state is another. Stand-ins: the
pinned actions, `gh`, and GitHub itself.
Without a container engine nothing is released; those tests are skipped. What the engine's own tests
of gate and release have by itself is told in whole with MLOPS_THOROUGH=1 alone.
"""

import hashlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import generate
from sklearn.metrics import log_loss
from sweeps import some, thorough

from rehearsal.conftest import REASON
from rehearsal.github import REPOSITORY, git
from rehearsal.rehearsal import MergeError
from rehearsal.results import DEPENDABOT, Run
from rehearsal.story import FORK, Story, copy, in_production, states

contained = pytest.mark.skipif(bool(REASON), reason=REASON or "there is an engine")
Sequel = Callable[[], Story]


@pytest.fixture(scope="module")
def begun(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    isolated: Path,
    machinery: tuple[dict[str, str], str],
) -> Iterator[Story]:
    """A repository on GitHub whose first model went through its pull request to production."""
    environment, address = machinery
    folder = tmp_path_factory.mktemp("story")
    answers = {"container_registry": f"{address or 'localhost:5000'}/acme"}
    project = generate(str(template), folder, isolated, answers)
    with in_production(folder, project, environment) as story:
        yield story


@pytest.fixture
def sequel(begun: Story, tmp_path: Path) -> Iterator[Story]:
    """The same, to go on from."""
    with copy(begun, tmp_path / "world") as story:
        yield story


def test_the_first_model_is_promoted_by_its_pull_request(begun: Story) -> None:
    log = begun.author.run("git", "-C", str(begun.github.bare()), "log", "--format=%s", "main")
    assert log.stdout.splitlines()[:4:2] == ["Merge pull request #1 from first", "Candidate"]
    assert log.stdout.splitlines()[1].startswith("Promote churn ")
    (run,) = (run for run in begun.runs if run.workflow == "model")
    assert "Running stage" not in run.output  # what the author ran and pushed costs nothing
    assert "passed" in run.jobs["judge"].summary
    assert begun.github.comments[1]["body"].startswith(run.jobs["judge"].summary[:200])
    assert run.jobs["judge"].permissions == {"contents": "read"}


@contained
def test_what_is_served_is_what_main_declares(begun: Story) -> None:
    assert begun.deployed()["model"] == begun.declared() == begun.served()
    images = [one for one in begun.github.attestations if "subject-name" in one]
    assert [one["subject-digest"] for one in images] == 2 * [begun.deployed()["digest"]]


def test_tables_are_scored_on_schedule_where_the_owner_says_which(sequel: Story) -> None:
    off = sequel.start("predict.yml", "schedule")
    assert off.jobs["predict"].result == "skipped"
    given, out, log = (sequel.folder / name for name in ("given", "scores", "log"))
    given.mkdir()
    shutil.copy(next((sequel.author.path / "data/raw").glob("*.parquet")), given)
    sequel.variables = {
        **sequel.variables,
        **{"PREDICT_INPUT": str(given), "PREDICT_OUTPUT": str(out), "PREDICT_LOG": str(log)},
        "PREDICT_PARTITION": "date",
    }
    run = sequel.start("predict.yml", "schedule")
    assert run.result == "success", run.output
    assert run.jobs["predict"].permissions == {"contents": "read"}
    (said,) = out.glob("date=*/_part.parquet.lineage.json")
    model = json.loads(said.read_text())["model"]["sha256"]
    assert model == sequel.declared()
    assert len(list(log.glob(f"predictions/date=*/model={model[:12]}/part-batch-*.parquet"))) == 1
    sequel.variables = {**sequel.variables, "PREDICT_INPUT": str(given / "none")}
    failed = sequel.start("predict.yml", "workflow_dispatch")
    assert failed.result == "failure"
    assert "does not exist" in failed.output


def test_a_store_is_filled_where_the_owner_says_so(sequel: Story) -> None:
    assert sequel.start("materialise.yml", "schedule").jobs["materialise"].result == "skipped"
    store = sequel.folder / "online.db"
    sequel.variables = {**sequel.variables, "MATERIALISE": "on"}
    sequel.secrets = {**sequel.secrets, "ONLINE_STORE": f"sqlite:///{store}"}
    run = sequel.start("materialise.yml", "schedule")
    assert run.jobs["materialise"].permissions == {"contents": "read"}
    # This model has no view; one that has is filled in test_feature_views.py.
    assert run.result == "failure"
    assert "no view has `online: true`" in run.output
    assert not store.exists()


ORDERS = """
keys: [customer]
event_time: at
lag: 0 days
columns:
  order: {type: integer, role: id}
  customer: {type: text, role: id}
  at: {type: datetime}
  amount: {type: number}
source:
  origin: {kind: sql, url_env: ORDERS_URL, query: SELECT * FROM orders}
  partition: {by: at, key: [order]}
"""


TRIED = "deploy/production/experiment.yaml"
UNITS = Path(__file__).with_name("canary.py")
CANARY = """
format: 1
mode: canary
champion: {champion}
challenger: {challenger}
salt: story
steps: [{{share: 0.1, for: 1h}}, {{share: 0.5, for: 1d}}]
since: 2026-03-01T00:00:00Z
"""


@pytest.fixture
def tried(sequel: Story) -> Story:
    """Production with a canary of which three people are in the log, and the workflow on."""
    log, champion = sequel.folder / "log", sequel.declared()
    sequel.author.run("python", str(UNITS), str(log), champion, "b" * 64)
    sequel.watch(log)
    sequel.variables = {**sequel.variables, "EXPERIMENT": "on"}
    none = sequel.start("experiment.yml", "schedule")
    assert states(none) == {"status": "success", "propose": "skipped"}, none.output
    assert "nothing to judge" in none.output
    sequel.begin("main")
    sequel.write(TRIED, CANARY.format(champion=champion, challenger="b" * 64))
    sequel.write("deploy/production/challenger.dvc", OUTSIDE)
    sequel.write("deploy/production/challenger.gate.json", "{}")
    sequel.author.commit("Try another")
    sequel.push(sequel.author.path, "main")
    return sequel


def proposed(story: Story) -> int:
    """Run the workflow; return the pull request that it opens, and that `model` has nothing to."""
    run = story.start("experiment.yml", "schedule")
    assert states(run) == {"status": "success", "propose": "success"}, run.output
    assert run.jobs["status"].permissions == {"contents": "read"}
    assert run.jobs["propose"].permissions == {
        name: "write" for name in ("actions", "contents", "pull-requests")
    }
    number, pull = max(story.github.pulls.items())
    assert (pull.state, pull.branch) == ("OPEN", "experiment/production")
    assert pull.author == "github-actions[bot]"
    started = story.dispatched()
    assert {one.workflow for one in started} == {"model", "check"}
    assert {one.result for one in started} == {"success"}, [one.output for one in started]
    return int(number)


@thorough
def test_an_experiment_goes_a_step_on_by_a_pull_request(tried: Story) -> None:
    number = proposed(tried)
    assert tried.github.pulls[number].title == "production: bbbbbbbbbbbb meets 50%"
    assert "step: 1" not in tried.at("main", TRIED)
    tried.accept(number)
    assert "step: 1" in tried.at("main", TRIED)
    tried.variables = {**tried.variables, "EXPERIMENT": ""}
    off = tried.start("experiment.yml", "schedule")
    assert {*states(off).values()} == {"skipped"}


@thorough
def test_what_servers_took_back_is_taken_back_by_a_pull_request(tried: Story) -> None:
    champion, log = tried.declared(), tried.folder / "log"
    tried.author.run("python", str(UNITS), str(log), TRIED, "5 of 20 requests failed")
    number = proposed(tried)
    pull = tried.github.pulls[number]
    assert pull.title == "production: stop the experiment of bbbbbbbbbbbb"
    assert "5 of 20 requests failed" in pull.body
    tried.accept(number)
    files = git(tried.github.bare(), "ls-tree", "-r", "--name-only", "main", "deploy/production")
    assert "experiment.yaml" not in files
    assert "challenger" not in files
    assert "deploy/production/experiments/" in files
    assert tried.declared() == champion


OUTSIDE = f"""outs:
- md5: {"a" * 32}.dir
  size: 1
  nfiles: 1
  hash: md5
  path: challenger
"""


@thorough
def test_new_data_come_as_one_pull_request_that_says_what_changed(sequel: Story) -> None:
    """Of a table that no model reads yet: nothing is trained, and the merge has the pointer."""
    place = sequel.folder / "shop.db"
    with closing(sqlite3.connect(place)) as shop, shop:
        shop.execute('CREATE TABLE orders ("order", customer, at, amount)')
        rows = [(n, f"c{n % 3}", f"2026-01-0{1 + n % 2} 10:00", n) for n in range(20)]
        shop.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    off = sequel.start("ingest.yml", "schedule")
    assert off.jobs["ingest"].result == "skipped"
    sequel.secrets = {**sequel.secrets, "INGEST_ENV": f"ORDERS_URL=sqlite:///{place}"}
    sequel.variables = {**sequel.variables, "INGEST": "on", "INGEST_TABLE": "orders"}
    sequel.begin("main")
    sequel.write("conf/tables/orders.yaml", ORDERS)
    sequel.author.commit("Orders")
    sequel.push(sequel.author.path, "main")
    run = sequel.start("ingest.yml", "schedule")
    assert run.result == "success", run.output
    assert run.jobs["ingest"].permissions == {
        name: "write" for name in ("actions", "contents", "pull-requests")
    }
    assert sequel.github.dispatches == [
        ("model.yml", "ingest/data"),
        ("check.yml", "ingest/data"),
    ]
    (pull,) = (one for one in sequel.github.pulls.values() if one.state == "OPEN")
    assert "By <code>order</code>: 20 new, 0 changed, 0 gone." in pull.body
    started = sequel.dispatched()
    assert {one.workflow for one in started} == {"model", "check"}
    assert {one.result for one in started} == {"success"}, [one.output for one in started]
    sequel.accept(pull.number)
    assert "outs:" in sequel.at("main", "data/tables/orders.dvc")
    again = sequel.start("ingest.yml", "schedule")
    assert "nothing to propose" in again.output


@thorough
def test_a_better_model_behind_its_lock(sequel: Story) -> None:
    """Only the experiment was pushed: automation runs it, judges it and pushes the rest.

    Its branch has a name that a careless script would run.
    """
    branch = "better-$(touch${IFS}pwned)`touch${IFS}pwned`;pwned"
    before = sequel.declared()
    sequel.begin(branch)
    sequel.change("better")
    number, runs = sequel.propose(branch)
    run = runs["model"]
    assert set(states(run).values()) == {"success"}, run.output
    assert "Running stage 'train'" in run.output
    # Author's commit, results, promotion: the last one reports what the ruleset requires.
    assert sequel.github.status(sequel.github.tip(branch)) == {
        "model passed": "success",
        "check passed": "success",
    }
    sequel.take(number)
    assert sequel.author.run("git", "status", "--porcelain").stdout == ""
    again = sequel.update(number)["model"]
    assert states(again) == {"judge": "success", "push": "skipped"} | {
        "attest": "success",
        "comment": "success",
        "pass": "success",
    }
    assert "Running stage" not in again.output
    assert "gate: makes it again: train" in again.output
    assert len([one for one in sequel.github.comments.values() if one["issue"] == number]) == 1
    assert not list(sequel.machine.folder.rglob("pwned"))
    sequel.accept(number, "squash")
    assert sequel.declared() != before
    if sequel.engine:
        assert sequel.deployed()["model"] == sequel.declared() == sequel.served()


@thorough
def test_what_a_laptop_declared_is_made_again(sequel: Story) -> None:
    """Its verdict is pending: automation settles it, by one commit."""
    sequel.begin("better")
    sequel.change("better")
    _made(sequel, "Candidate")
    base = sequel.github.tip("main")
    assert "Still to come" in sequel.author.run("mlops", "gate", "--against", base).stdout
    sequel.author.run("mlops", "promote", "--against", base)
    number, runs = sequel.propose("better")
    run = runs["model"]
    assert set(states(run).values()) == {"success"}, run.output
    assert "Running stage" not in run.output
    assert json.loads(sequel.at("better", "deploy/production/gate.json"))["pending"] == []
    told = ("log", "--format=%s", "main..better")
    line = git(sequel.github.bare(), *told).splitlines()
    assert [one.split()[0] for one in line] == ["Promote", "Promote", "Candidate", "Model"]
    sequel.accept(number)


@thorough
def test_a_model_that_no_commit_makes_is_rejected(sequel: Story) -> None:
    """Fitted on the holdout by hand, every digest holds; the remedy that is named gets through."""
    sequel.begin("forged")
    sequel.change("better")
    _made(sequel, "Candidate")
    rows = sequel.author.path / "data/prepared"
    shutil.move(rows / "train", rows / "honest")
    shutil.copytree(rows / "holdout", rows / "train")
    for name in ("model", "candidate"):
        shutil.rmtree(sequel.author.path / name)
    sequel.author.run("mlops", "train")
    shutil.rmtree(rows / "train")
    shutil.move(rows / "honest", rows / "train")
    sequel.author.run("mlops", "evaluate")
    sequel.author.run("mlops", "bundle")
    sequel.author.run("dvc", "commit", "--force", "train", "evaluate", "bundle")
    sequel.author.run("dvc", "push", "--quiet")
    sequel.author.commit("A miracle")
    told = sequel.author.run("mlops", "gate", "--against", sequel.github.tip("main"))
    assert "rejected" not in told.stdout  # on a laptop, where nobody made it again
    number, runs = sequel.propose("forged")
    assert states(runs["model"])["pass"] == "failure", runs["model"].output
    assert "- reproduced (predictions)" in runs["model"].output
    with pytest.raises(MergeError, match="model passed: failure"):
        sequel.accept(number)
    sequel.author.run("dvc", "repro", "--force", "--downstream", "prepare")
    sequel.author.run("dvc", "push", "--quiet")
    sequel.author.commit("What the inputs make")
    assert states(sequel.update(number)["model"])["pass"] == "success"


def _made(story: Story, message: str) -> None:
    """Run the pipeline as the author, and share its results."""
    story.author.run("dvc", "repro")
    story.author.run("dvc", "push", "--quiet")
    story.author.commit(message)


QUEUED = {
    **{"judge": "success", "push": "skipped", "attest": "skipped"},
    **{"comment": "skipped", "pass": "success"},
}
SIGNED = "Verify that the workflow model signed the verdict"


def test_a_verdict_that_nobody_signed_is_not_released(sequel: Story) -> None:
    """As where attestations came later: the next pull request signs what main declares.

    A merge queue then merges that one by a run of its own, in which nothing is judged or pushed.
    """
    text = sequel.at("main", "deploy/production/gate.json")
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    signed = [one for one in sequel.github.attestations if one["subject-digest"] == digest]
    assert [one["signer"] for one in signed] == [f"{REPOSITORY}/.github/workflows/model.yml"]
    sequel.github.attestations.clear()
    refused = sequel.start("release.yml", "workflow_dispatch").jobs["release"]
    assert {one.name: one.conclusion for one in refused.steps}[SIGNED] == "failure"
    assert {one.conclusion for one in refused.steps[2:]} == {"skipped"}
    sequel.begin("words")
    sequel.write("docs/notes.md", "# Notes\n")
    sequel.author.commit("Notes")
    number, runs = sequel.propose("words")
    assert states(runs["model"])["attest"] == "success"
    taken = sequel.start("release.yml", "workflow_dispatch").jobs["release"]
    assert {one.name: one.conclusion for one in taken.steps}[SIGNED] == "success"
    asked, *pushed = sequel.queue(number)
    assert {asked.event.name, *(run.event.name for run in pushed)} == {"merge_group", "push"}
    (queued,) = (run for run in (asked, *pushed) if run.workflow == "model")
    assert states(queued) == QUEUED, queued.output
    assert sequel.at("main", "docs/notes.md") == "# Notes\n"


@thorough
def test_a_change_that_concerns_no_model(sequel: Story) -> None:
    sequel.begin("words")
    sequel.write("docs/notes.md", "# Notes\n")
    sequel.author.commit("Notes")
    number, runs = sequel.propose("words")
    assert states(runs["model"])["push"] == "skipped"
    assert "Nothing to judge" in runs["model"].jobs["judge"].summary
    before = sequel.deployed()
    with sequel.checking():
        check = sequel.accept(number)["check"]
    assert check.result == "success", check.output
    assert " passed" in check.output  # the project's own tests, after a promotion
    assert sequel.deployed() == before


@thorough
def test_the_projects_own_checks_hold_in_every_state(sequel: Story) -> None:
    """After a promotion and a revert the workflow runs them; here, all at once, what else may be.

    Several environments, a leftover champion, another table adopted, a dirty tree, git's own hook.
    """
    sequel.begin("main")
    author = sequel.author
    author.run("dvc", "pull", "--quiet", "deploy/production/champion.dvc")
    shutil.copytree(author.path / "deploy/production", author.path / "deploy/staging")
    sequel.write("deploy/environments.yaml", "environments: [staging, production]\n")
    author.run("git", "add", "deploy")
    sequel.write("notes.txt", "untracked\n")
    for name in ("candidate", "model"):
        shutil.rmtree(author.path / name)
    table = "\n".join(f"{n},{n * 37 % 101},{'abc'[n % 3]},{n * 13 % 89}.5" for n in range(300))
    sequel.write("../houses.csv", f"id,size,kind,price\n{table}\n")
    author.run("mlops", "adopt", "../houses.csv", "--target", "price")
    git = author.path / ".git"  # as a hook has it, whose index is not to be written
    sequel.check(GIT_DIR=str(git), GIT_INDEX_FILE=str(git / "index"))


def test_a_worse_model_is_rejected(sequel: Story) -> None:
    sequel.begin("worse")
    sequel.change("worse")
    pushed = sequel.author.run("git", "rev-parse", "HEAD").stdout.strip()
    number, runs = sequel.propose("worse")
    run = runs["model"]
    assert states(run) == {
        "judge": "failure",
        "push": "skipped",
        "attest": "skipped",
        "comment": "success",
        "pass": "failure",
    }
    assert sequel.github.tip("worse") == pushed
    (said,) = (one["body"] for one in sequel.github.comments.values() if one["issue"] == number)
    assert "rejected" in said
    assert "better_than_baseline" in said
    with pytest.raises(MergeError, match="model passed: failure"):
        sequel.accept(number)


def test_a_fork_reads_no_secret_and_a_maintainer_is_told(sequel: Story) -> None:
    sequel.begin("gift")
    sequel.change("better")
    number, runs = sequel.propose("gift", FORK)
    run = runs["model"]
    assert states(run)["pass"] == "failure"
    assert {states(run)[name] for name in ("push", "comment", "attest")} == {"skipped"}
    assert "For a maintainer" in run.jobs["judge"].summary
    assert str(sequel.folder / "storage") not in run.output
    assert not [one for one in sequel.github.comments.values() if one["issue"] == number]


@thorough
def test_whoever_lacks_something_is_told_what(sequel: Story) -> None:
    """Dependabot, who has no secrets; who has pushed no data; who had another base; the queue."""
    sequel.begin("dependabot/actions")
    text = sequel.at("main", ".github/workflows/check.yml")
    sequel.write(".github/workflows/check.yml", f"{text}# another version\n")
    sequel.author.commit("Bump the actions group")
    number, runs = sequel.propose("dependabot/actions", author=DEPENDABOT)
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    assert "no model is concerned: nothing to fetch" in runs["model"].output
    assert "model" in {run.workflow for run in sequel.queue(number)}
    assert "# another version" in sequel.at("main", ".github/workflows/check.yml")

    sequel.begin("dependabot/pip")
    lock = sequel.at("main", "requirements/train.txt")
    sequel.write("requirements/train.txt", f"{lock}# another version\n")
    sequel.author.commit("Bump a package")
    number, runs = sequel.propose("dependabot/pip", author=DEPENDABOT)
    assert states(runs["model"])["pass"] == "failure"
    assert "`gh secret set DVC_CONFIG --app dependabot`" in told(sequel, number)

    sequel.begin("more")
    rows = sorted((sequel.author.path / "data/raw").glob("*.parquet"))[0]
    rows.chmod(0o644)
    rows.write_bytes(rows.read_bytes() + b"PAR1")
    sequel.author.run("dvc", "add", "--quiet", "data/raw")
    sequel.author.commit("More data")
    number, runs = sequel.propose("more")
    assert states(runs["model"])["pass"] == "failure"
    assert "Running stage" not in runs["model"].output
    assert "run `dvc push data/raw.dvc` where they are" in told(sequel, number)

    _, started = sequel.retarget("dependabot/pip")
    assert [run.workflow for run in started] == ["retargeted"]
    assert started[0].result == "failure"
    assert "close and reopen it, and both run against main." in started[0].output


def told(story: Story, number: int) -> str:
    """Return what the one comment on a pull request says, which is also the run's summary."""
    (said,) = (one["body"] for one in story.github.comments.values() if one["issue"] == number)
    assert said.startswith("## Not judged\n\n")
    return str(said)


@pytest.fixture(scope="module")
def two(begun: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two that passed against one champion, and the first of them merged."""
    with copy(begun, tmp_path_factory.mktemp("two") / "world") as story:
        for name in ("better", "other"):
            story.begin(name)
            story.change(name)
            _, runs = story.propose(name)
            assert states(runs["model"])["pass"] == "success", runs["model"].output
        queued = story.finished(story.queue(2))
        assert states(queued["model"]) == QUEUED
        assert "Running stage" not in queued["model"].output
        assert "declares holds on what main is" in queued["model"].jobs["judge"].summary
        yield story


@thorough
def test_the_second_of_two_is_judged_again(two: Story, tmp_path: Path) -> None:
    """When one is promoted, the other's verdict is stale."""
    with copy(two, tmp_path / "world") as sequel:
        champion = sequel.declared()
        assert sequel.blocked(3)
        assert sequel.synchronize(3) == []
        sequel.begin("other", "other")
        _merge_main(sequel, "other")
        stale = sequel.declared("refs/heads/other")
        run = sequel.update(3)["model"]
        assert states(run)["pass"] == "success", run.output
        assert champion[:12] in sequel.at("other", "deploy/production/release.yaml")
        sequel.accept(3)
        assert sequel.declared() == stale
        if sequel.engine:
            assert sequel.deployed()["model"] == stale


def _merge_main(story: Story, name: str) -> None:
    """Merge main into a branch, and keep the branch's own side of every conflict."""
    story.author.run("git", "fetch", "--quiet", str(story.github.bare()), "main")
    story.author.run("git", "merge", "--quiet", "--strategy-option=ours", "FETCH_HEAD")


@thorough
def test_a_queue_takes_out_what_was_judged_by_another_policy(sequel: Story) -> None:
    """Git merges the two without a conflict; the remedy that is named gets it through."""
    sequel.begin("better")
    sequel.change("better")
    number, runs = sequel.propose("better")
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    sequel.begin("main")
    path = "conf/gate/story.yaml"
    text = sequel.at("main", path).replace("at_least: 0.6", "at_least: 0.61")
    assert text != sequel.at("main", path)
    sequel.write(path, text)
    sequel.author.commit("Demand more")
    sequel.push(sequel.author.path, "main")
    before = sequel.github.tip("main")
    with pytest.raises(MergeError, match="model passed: failure"):
        sequel.queue(number)
    assert sequel.github.tip("main") == before
    (queued,) = (
        run for run in sequel.runs if run.event.name == "merge_group" and run.workflow == "model"
    )
    assert "bring the branch up to date with main" in queued.jobs["judge"].summary, queued.output
    sequel.begin("better", "better")
    sequel.author.run("git", "fetch", "--quiet", str(sequel.github.bare()), "main")
    sequel.author.run("git", "merge", "--quiet", "--no-edit", "FETCH_HEAD")
    run = sequel.update(number)["model"]
    assert states(run)["pass"] == "success", run.output
    sequel.queue(number)
    assert sequel.github.pulls[number].state == "MERGED"


@thorough
@contained
def test_a_stale_verdict_that_reaches_main_is_not_released(two: Story, tmp_path: Path) -> None:
    """An administrator merges past the ruleset: main declares it, and nothing serves it."""
    with copy(two, tmp_path / "world") as sequel:
        before = sequel.deployed()
        sequel.begin("main")
        sequel.author.run("git", "fetch", "--quiet", str(sequel.github.bare()), "other")
        sequel.author.run("git", "merge", "--quiet", "--strategy-option=theirs", "FETCH_HEAD")
        runs = sequel.finished(sequel.push(sequel.author.path, "main"))
        assert runs["release"].result == "failure"
        assert "Traceback" not in runs["release"].output
        assert sequel.deployed() == before


@contained
def test_a_revert_serves_the_old_model_without_a_build(sequel: Story) -> None:
    before = sequel.deployed()
    sequel.begin("better")
    sequel.change("better")
    number, _ = sequel.propose("better")
    sequel.accept(number)
    images = sequel.images()
    assert sequel.deployed()["digest"] != before["digest"]
    sequel.begin("back")
    sequel.author.run("git", "revert", "--no-edit", "--mainline", "1", "HEAD")
    number, runs = sequel.propose("back")
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    assert "brings back" in runs["model"].jobs["judge"].summary
    with sequel.checking():
        runs = sequel.accept(number)
    release = runs["release"]
    assert runs["check"].result == "success", runs["check"].output
    assert release.result == "success", release.output
    assert "build" not in [line.split()[1] for line in release.output.splitlines() if ": " in line]
    assert sequel.deployed()["digest"] == before["digest"]
    assert sequel.images() == images
    assert sequel.served() == before["model"]


POINTS = [
    *(("podman", command) for command in ("build", "run", "exec", "push")),
    ("skopeo", "inspect"),
    ("git", "push"),
    ("mlflow", ""),
]


@thorough  # the engine's own tests of releasing have every point without the workflows
@contained
def test_a_release_that_fails_anywhere_goes_on_where_it_stopped(sequel: Story) -> None:
    before, tip = sequel.deployed(), sequel.github.tip("env/production")
    sequel.begin("better")
    sequel.change("better")
    number, _ = sequel.propose("better")
    sequel.skipped = {"release.yml"}
    sequel.accept(number)
    sequel.skipped = set()
    uri = sequel.variables["MLFLOW_TRACKING_URI"]
    for command, argument in some(POINTS, 6):
        sequel.machine.fail(argument, "podman", "skopeo", "git")
        missing = "sqlite:////dev/null/mlflow.db"
        sequel.variables = {
            **sequel.variables,
            "MLFLOW_TRACKING_URI": uri if command != "mlflow" else missing,
        }
        run = sequel.start("release.yml", "workflow_dispatch")
        assert run.result == "failure", (command, argument, run.output)
        assert "Traceback" not in run.output
        assert sequel.deployed() == before
    sequel.machine.fail("", "podman", "skopeo", "git")
    sequel.variables = {**sequel.variables, "MLFLOW_TRACKING_URI": uri}
    sequel.break_at = "Release"
    run = sequel.start("release.yml", "workflow_dispatch")
    assert run.result == "failure"
    sequel.break_at = ""
    run = sequel.start("release.yml", "workflow_dispatch")
    assert run.result == "success", run.output
    after = sequel.deployed()
    assert after["model"] == sequel.declared() == sequel.served()
    line = subprocess.run(
        ["git", "rev-list", "--count", f"{tip}..env/production"],
        cwd=sequel.github.bare(),
        check=True,
        capture_output=True,
    )
    assert line.stdout.strip() == b"1"
    made = len(sequel.github.attestations)
    assert len([one for one in sequel.github.attestations if "subject-name" in one]) == 4
    assert sequel.start("release.yml", "workflow_dispatch").result == "success"
    assert sequel.deployed() == after
    assert len(sequel.github.attestations) == made


@thorough
@contained
def test_reconciliation_repairs_what_somebody_changed(sequel: Story) -> None:
    before = sequel.deployed()
    quiet = sequel.start("reconcile.yml", "schedule")
    assert quiet.result == "success", quiet.output
    assert "as declared" in quiet.jobs["reconcile"].summary
    git = ["git", "-C", str(sequel.github.bare())]
    sequel.author.run(*git, "update-ref", "-d", "refs/heads/env/production")
    repaired = sequel.start("reconcile.yml", "schedule")
    assert repaired.result == "success", repaired.output
    assert "env/production" in repaired.jobs["reconcile"].summary
    assert sequel.deployed() == before


DAYS = 30  # of traffic


@pytest.fixture(scope="module")
def logs(begun: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first model answered: rows that drifted, for weeks; rows as ever, a few days."""
    with copy(begun, tmp_path_factory.mktemp("traffic") / "world") as story:
        story.rows(22)
        story.answer(story.folder / "drifted", story.folder / "source", DAYS)
        story.answer(story.folder / "calm", story.author.path / "data/raw", 3)
        return story.folder


def refreshed(story: Story, **inputs: Any) -> tuple[Run, list[Run]]:
    """Run what is daily, or by hand, and what that starts."""
    run = watched(story, **inputs)
    return run, story.dispatched()


def watched(story: Story, **inputs: Any) -> Run:
    """Run what is daily, or by hand."""
    event = "workflow_dispatch" if inputs else "schedule"
    return story.start("monitor.yml", event, "main", **inputs)


def alarmed(story: Story) -> set[str]:
    """Return the rules of which an issue is open."""
    open_ones = (one for one in story.github.issues.values() if one["state"] == "open")
    return {one["title"].removeprefix("churn: ").split()[0] for one in open_ones}


@thorough
def test_an_alert_becomes_a_model_that_is_served(sequel: Story, logs: Path, tmp_path: Path) -> None:
    """Traffic, alert, rows from the source, cut-off by its rule, gate, approval, release.

    Rows of the last three months are answered the better for it, by a tenth of the log loss.
    """
    served, log = sequel.declared(), tmp_path / "log"
    shutil.copytree(logs / "drifted", log)
    shutil.copytree(logs / "source", sequel.folder / "source")
    sequel.watch(log)
    run, started = refreshed(sequel)
    assert states(run) == dict.fromkeys(("monitor", "alert", "refresh"), "success"), run.output
    assert run.jobs["monitor"].permissions == {"contents": "read"}
    report = json.loads((run.artifacts / "monitor/monitor.json").read_text())
    assert report["model"]["sha256"] == served
    assert {one["kind"] for one in report["alerts"]} == {"performance"}
    assert alarmed(sequel) == {"performance"}
    assert [one.workflow for one in started] == ["model", "check"], started[0].output
    model = states(started[0])
    assert model.pop("comment") == "skipped"
    assert set(model.values()) == {"success"}, started[0].output
    number, pull = max(sequel.github.pulls.items())
    assert (pull.author, pull.state) == ("github-actions[bot]", "OPEN")
    assert f"- {report['alerts'][0]['reason']}" in pull.body
    assert "What the monitor saw" in pull.body
    (said,) = (one["body"] for one in sequel.github.comments.values() if one["issue"] == number)
    assert "150 days before the newest row, of 2026-10-01, as was declared before" in said
    head = sequel.github.tip(pull.branch)
    wanted = {"model passed": "success", "check passed": "success"}
    assert sequel.github.status(head) == wanted
    runs = sequel.accept(number)
    assert 'cutoff: "2026-05-04"' in sequel.at("main", "params.yaml")
    assert sequel.declared() != served
    if sequel.engine:
        assert runs["release"].result == "success", runs["release"].output
        assert sequel.deployed()["model"] == sequel.declared() == sequel.served()

    shutil.move(sequel.author.path / "candidate", sequel.folder / "before")
    sequel.begin("main")
    sequel.author.run("dvc", "pull", "--quiet", "deploy/production/champion.dvc")
    recent = sorted((sequel.folder / "source").iterdir())[-3:]
    was, now = (loss(sequel, one, recent) for one in (sequel.folder / "before", CHAMPION))
    assert now < 0.9 * was

    sequel.answer(log, sequel.folder / "source", DAYS, bundle=str(CHAMPION))  # as weeks go by
    run, started = refreshed(sequel, refresh=True)
    assert states(run) == dict.fromkeys(("monitor", "alert", "refresh"), "success"), run.output
    assert sequel.github.issues
    assert not alarmed(sequel)
    assert "14 days lie between two" in run.output
    assert not started


CHAMPION = Path("deploy/production/champion")


def loss(story: Story, bundle: Path, tables: list[Path]) -> float:
    """Return the log loss of what a bundle answers rows that have outcomes."""
    answers = story.folder / "answers.parquet"
    given = [str(one) for one in tables]
    told = ("--bundle", str(bundle), "--out", str(answers))
    story.author.run("mlops", "predict", *given, *told)
    said = pq.read_table(answers)["probability_true"].to_numpy()
    came = pa.concat_tables([pq.read_table(one, columns=["churned"]) for one in tables])
    return float(log_loss(came["churned"].to_numpy(), said))


@thorough
def test_a_refresh_that_is_no_better_closes_itself(sequel: Story) -> None:
    """By hand; what is served stays."""
    served, main = sequel.declared(), sequel.github.tip("main")
    sequel.begin("main")
    text = sequel.at("main", "conf/gate/story.yaml").replace("at_least: 0.6", "at_least: 0.99")
    sequel.write("conf/gate/story.yaml", text)
    sequel.author.commit("Demand more")
    sequel.push(sequel.author.path, "main")
    sequel.rows(12)
    run, (model,) = refreshed(sequel, refresh=True)
    assert states(run) == {"monitor": "success", "alert": "skipped", "refresh": "success"}
    assert "Nothing is watched" in run.output
    assert states(model) == {
        **dict.fromkeys(("judge", "pass"), "failure"),
        **dict.fromkeys(("push", "attest", "comment"), "skipped"),
        "refreshed": "success",
    }, model.output
    number, pull = max(sequel.github.pulls.items())
    assert pull.state == "CLOSED"
    (said,) = (one["body"] for one in sequel.github.comments.values() if one["issue"] == number)
    assert said.startswith("## No better than what is served")
    assert pull.branch not in sequel.github.tips()
    assert sequel.declared() == served
    assert git(sequel.github.bare(), "rev-parse", "main~1").strip() == main

    assert {*states(sequel.start("model.yml", "workflow_dispatch")).values()} == {"skipped"}


@thorough
def test_nothing_is_refreshed_until_it_is_asked_for(
    sequel: Story, logs: Path, tmp_path: Path
) -> None:
    """Nor while the data are broken; where a setting forbids it, the next run goes on.

    Who changes what the monitor goes by is told what that would have alerted.
    """
    before = sequel.github.tips()
    sequel.watch(logs / "calm")
    run = watched(sequel)
    assert run.jobs["monitor"].outputs["verdict"] == "quiet", run.output
    assert states(run) == {"monitor": "success", "alert": "success", "refresh": "skipped"}
    assert not sequel.github.issues
    sequel.watch(logs / "drifted")
    sequel.begin("law")
    path = "conf/monitoring/standard.yaml"
    sequel.write(path, sequel.at("main", path).replace("margin: 0.1, min", "margin: 9.0, min"))
    sequel.author.commit("Mind no loss")
    replay = sequel.propose("law")[1]["replay"].jobs["replay"]
    alerted = [line for line in replay.summary.splitlines() if "| alert | performance" in line]
    assert alerted, replay.output
    assert all("| never | " in line for line in alerted)
    assert replay.permissions == {"contents": "read"}
    broken = tmp_path / "broken"
    shutil.copytree(logs / "drifted", broken)
    sequel.answer(broken, logs / "source", 1, "usage_hours")
    sequel.watch(broken)
    run = watched(sequel)
    assert run.result == "success", run.output
    assert "Not now: the data are broken (missing of usage_hours" in run.jobs["refresh"].summary
    assert alarmed(sequel) == {"performance", "missing"}
    assert sequel.github.tips() == {**before, "law": sequel.github.tip("law")}
    sequel.watch(logs / "drifted")
    shutil.copytree(logs / "source", sequel.folder / "source")
    sequel.github.automation_opens = False
    run = watched(sequel)
    assert run.result == "failure"
    assert "not permitted to create" in run.output
    sequel.github.automation_opens = True
    assert watched(sequel).result == "success"
    assert max(sequel.github.pulls.items())[1].author == "github-actions[bot]"
    assert {*sequel.github.dispatches} == {
        ("model.yml", max(sequel.github.pulls.items())[1].branch)
    }
    sequel.github.dispatches.clear()
