"""The DAG in a real Airflow, which `make airflow` installs apart: its dependencies exclude ours."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from baked import IDENTITY, ROOT, SOURCE
from sweeps import thorough

AIRFLOW = ROOT / "build/airflow/bin/airflow"
REQUIRED = "AIRFLOW_REQUIRED"  # set where a missing Airflow is a failure
DAG = SOURCE / "orchestration/airflow.py"
TARGETS = ("ingest", "candidate", "gate", "monitor", "refresh")
# Says what it was called with, and fails where the branch says so.
MAKEFILE = """\
CALLS ?= ../calls
define CALL
@echo "$@ $$(git log -1 --format=%s) since=$$SINCE until=$$UNTIL because=$$BECAUSE" >> $(CALLS)
@test ! -e data/fails-$@
endef
ingest gate monitor refresh:
	$(CALL)
candidate:
	$(CALL)
	@echo made > results && git add results && git commit -qm "Run the pipeline"
"""


class Airflow(NamedTuple):
    """An Airflow of its own, with the DAG, and a clone in which it works."""

    home: Path
    clone: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **more}
        told = [str(AIRFLOW), *arguments]
        return subprocess.run(told, env=environment, cwd=self.home, text=True, capture_output=True)

    def tested(self, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the DAG once, in this process, for a day."""
        (self.home / "calls").unlink(missing_ok=True)
        return self.run("dags", "test", "model", "2026-11-27T04:00:00+00:00", **more)

    def calls(self) -> dict[str, str]:
        """Return what each target was called with."""
        lines = (self.home / "calls").read_text().splitlines()
        assert len({line.split()[0] for line in lines}) == len(lines), lines
        return dict(line.split(" ", 1) for line in lines)

    def git(self, *arguments: str) -> None:
        told = ["git", "-C", str(self.home / "work"), *arguments]
        subprocess.run(told, check=True, env=self.environment, capture_output=True)

    def commit(self, subject: str, **files: str) -> None:
        for name, text in files.items():
            path = self.home / "work" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)


def constants(clone: Path | None, dag: Path = DAG) -> dict[str, str]:
    """Return what the DAG is called and does for a clone, as Airflow's Python reads it."""
    if not AIRFLOW.exists():
        assert not os.environ.get(REQUIRED), "`make airflow` has installed none"
        pytest.skip("no Airflow: `make airflow` installs it")
    lines = (
        "import json, runpy, sys",
        "read = runpy.run_path(sys.argv[1])",
        "told = {name: str(read[name]) for name in ('CLONE', 'INGESTED', 'PROPOSED')}",
        "print(json.dumps({**told, 'DAG': read['ingest'].dag.dag_id}))",
    )
    own = {"MLOPS_CLONE": str(clone or "")}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [AIRFLOW.with_name("python"), "-c", "\n".join(lines), dag],
            env={**os.environ, **settings(Path(home)), **own},
            check=True,
            text=True,
            capture_output=True,
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of Airflow whose database is there, made once."""
    if not AIRFLOW.exists():
        assert not os.environ.get(REQUIRED), "`make airflow` has installed none"
        pytest.skip("no Airflow: `make airflow` installs it")
    home = tmp_path_factory.mktemp("airflow")
    environment = {**os.environ, **settings(home)}
    subprocess.run([AIRFLOW, "db", "migrate"], env=environment, check=True, capture_output=True)
    return home


def settings(home: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "MLOPS_CLONE": str(home / "clone"),
        "PATH": os.pathsep.join([str(AIRFLOW.parent), os.environ["PATH"]]),  # it calls itself
        **IDENTITY,
    }


@pytest.fixture
def airflow(migrated: Path, tmp_path: Path) -> Airflow:
    home = tmp_path / "home"
    shutil.copytree(migrated, home)
    kept = {name: value for name, value in os.environ.items() if name not in ("LOG", "MAKEFLAGS")}
    made = Airflow(home, home / "clone", {**kept, **settings(home)})
    remote = home / "remote.git"
    for told in (("init", "-q", "--bare", "-b", "main", remote), ("clone", "-q", remote, "work")):
        subprocess.run(["git", *told], cwd=home, check=True, capture_output=True)
    made.git("checkout", "-q", "-B", "main")
    made.commit("Start", Makefile=MAKEFILE)
    made.git("push", "-q", "origin", "main")
    subprocess.run(["git", "clone", "-q", remote, made.clone], check=True)
    return made


def propose(airflow: Airflow, **files: str) -> None:
    airflow.git("checkout", "-q", "-B", "ingest/data")
    airflow.commit("New rows", **files)
    airflow.git("push", "-q", "--force", "origin", "ingest/data")


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("data/raw.dvc", True),
        ("dvc.lock", True),
        ("reports/metrics.json", True),
        ("src/project/features.py", False),
        ("engine/tasks.mk", False),
        ("orchestration/airflow.py", False),
    ],
)
def test_code_of_a_branch_that_nobody_reviewed_does_not_run(
    repository: Path, constants_of_one: dict[str, str], path: str, runs: bool
) -> None:
    work, clone = repository / "work", repository / "clone"
    commit(work, "ingest/data", path)
    done = subprocess.run(
        ["bash", "-c", constants_of_one["PROPOSED"]], cwd=clone, text=True, capture_output=True
    )
    said = (
        "ingest/data changes more than data and results, so nothing of it runs: delete the branch\n"
    )
    assert (done.returncode, done.stderr) == ((0, "") if runs else (1, said))
    assert (clone / path).exists() == runs
    # Deleted, as the sentence says: then it is main that there is.
    git(work, "push", "--quiet", "--delete", "origin", "ingest/data")
    told = ["bash", "-c", constants_of_one["PROPOSED"]]
    subprocess.run(told, cwd=clone, check=True, capture_output=True)
    assert not (clone / path).exists()


def test_what_main_has_merged_since_is_no_change_of_the_branch(
    repository: Path, constants_of_one: dict[str, str]
) -> None:
    work, clone = repository / "work", repository / "clone"
    commit(work, "ingest/data", "data/raw.dvc")
    git(work, "checkout", "--quiet", "main")
    commit(work, "main", "src/project/features.py")
    told = ["bash", "-c", constants_of_one["PROPOSED"]]
    subprocess.run(told, cwd=clone, check=True, capture_output=True)
    assert (clone / "data/raw.dvc").exists()


def test_one_of_several_has_its_own_branch_and_name(tmp_path: Path) -> None:
    """It is found by the link that Airflow has of it, and looks at the whole repository."""
    project = tmp_path / "company/models/one"
    (project / "orchestration").mkdir(parents=True)
    (tmp_path / "company/.git").mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "churn"\n')
    shutil.copy(DAG, project / "orchestration")
    link = tmp_path / "dags/churn.py"
    link.parent.mkdir()
    link.symlink_to(project / "orchestration/airflow.py")
    found = constants(None, link)
    proposed = found.pop("PROPOSED")
    assert found == {"CLONE": str(project), "INGESTED": "ingest/churn/data", "DAG": "churn"}
    assert "origin/ingest/churn/data" in proposed
    assert '":/"' in proposed


def test_what_it_calls_are_targets_of_the_project() -> None:
    text = DAG.read_text(encoding="utf-8")
    assert set(re.findall(r"make (\w+)", text)) == set(TARGETS)
    rules = (SOURCE / "engine/tasks.mk").read_text(encoding="utf-8")
    for name in (*TARGETS, *re.findall(r'"([A-Z]+)": ', text)):
        assert re.search(rf"^{name}:|\$\$\{{{name}:\+", rules, re.MULTILINE), name


def test_a_day_ingests_judges_what_came_watches_and_refreshes(airflow: Airflow) -> None:
    propose(airflow)
    done = airflow.tested(LOG="s3://log")
    assert "state=success" in done.stdout, done.stdout + done.stderr
    calls = airflow.calls()
    assert set(calls) == set(TARGETS)
    assert calls["candidate"].startswith("New rows")
    assert calls["gate"].startswith("Run the pipeline")
    for name in ("ingest", "monitor", "refresh"):
        assert calls[name].startswith("Start"), name
    assert "since= until=2026-11-27 " in calls["ingest"]  # the end of the interval
    assert calls["refresh"].endswith("because=reports/monitor/monitor.json")


@thorough
def test_a_rejected_candidate_fails_the_run_and_what_is_served_is_watched(airflow: Airflow) -> None:
    propose(airflow, **{"data/fails-gate": "yes"})
    done = airflow.tested(LOG="s3://log")
    assert "state=failed" in done.stdout
    assert {"gate", "monitor", "refresh"} <= set(airflow.calls())


@thorough
def test_without_a_log_nothing_is_watched_and_without_new_rows_main_is_judged(
    airflow: Airflow,
) -> None:
    done = airflow.tested()
    assert "state=success" in done.stdout, done.stdout + done.stderr
    calls = airflow.calls()
    assert set(calls) == {"ingest", "candidate", "gate"}
    assert calls["candidate"].startswith("Start")


def git(folder: Path, *arguments: str) -> None:
    told = ["git", "-C", str(folder), *arguments]
    subprocess.run(told, check=True, env={**os.environ, **IDENTITY}, capture_output=True)


def commit(work: Path, branch: str, path: str) -> None:
    """Commit a file on a branch, and push that."""
    git(work, "checkout", "--quiet", "-B", branch)
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_text("of the branch\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", path)
    git(work, "push", "--quiet", "--force", "origin", branch)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A remote whose main has one file, where somebody works, and the clone of the DAG."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch", "main", "remote.git")
    git(tmp_path, "clone", "--quiet", "remote.git", "work")
    commit(tmp_path / "work", "main", "README.md")
    git(tmp_path, "clone", "--quiet", "remote.git", "clone")
    return tmp_path


@pytest.fixture(scope="module")
def constants_of_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return constants(tmp_path_factory.mktemp("clone"))


@contextmanager
def standalone(airflow: Airflow) -> Iterator[None]:
    """Airflow with its scheduler, as `airflow standalone` runs it; ended with all that it began."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
        "LOG": "s3://log",
    }
    with (airflow.home / "standalone.log").open("w") as log:
        told = [str(AIRFLOW), "standalone"]
        environment = {**airflow.environment, **own}
        process = subprocess.Popen(
            told, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@thorough
def test_its_scheduler_runs_the_last_interval_once_it_is_on(airflow: Airflow) -> None:
    propose(airflow)
    with standalone(airflow):
        end, told = time.monotonic() + 600, ""
        while not re.search(r"\b(success|failed)\b", told) and time.monotonic() < end:
            time.sleep(2)
            airflow.run("dags", "unpause", "model", "--yes")  # once the DAG has been read
            told = airflow.run("dags", "list-runs", "model", "--output", "plain").stdout
    log = (airflow.home / "standalone.log").read_text()
    assert "success" in told, told + log[-5000:]
    assert set(airflow.calls()) == set(TARGETS)
