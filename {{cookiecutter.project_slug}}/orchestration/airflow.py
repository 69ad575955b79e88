"""The daily work where Airflow calls it: the targets of the Makefile, in a clone of its own.

The clone is the one that this file is in, or MLOPS_CLONE names it, on a worker that has Python and
git and may push; what the targets read (LOG, GH_TOKEN, …) is the worker's environment. See
engine/docs/airflow.md.
"""

import os
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

CLONE = Path(os.environ.get("MLOPS_CLONE") or Path(__file__).resolve().parents[1])
ABOUT = CLONE / "pyproject.toml"
# One of several models in a repository has its name in its branches.
SEVERAL = ABOUT.exists() and not (CLONE / ".git").exists()
NAME = tomllib.loads(ABOUT.read_text(encoding="utf-8"))["project"]["name"] if SEVERAL else ""
INGESTED = f"ingest/{NAME}/data" if NAME else "ingest/data"
MAIN = "git fetch --quiet --prune origin && git checkout --quiet --force -B main origin/main"
# The branch that ingest proposes; main, of which nothing is new, where there is none. Code of a
# branch that nobody reviewed does not run here, with what a worker may do, nor replaces this file.
PROPOSED = f"""\
git fetch --quiet --prune origin || exit 1
proposed="$(git rev-parse --quiet --verify origin/{INGESTED} || echo origin/main)"
git diff --quiet "origin/main...$proposed" -- ":/" ":(exclude)data" ":(exclude)reports" \\
  ":(exclude)deploy" ":(exclude)dvc.lock" ":(exclude)resolved.yaml" || {{
  echo "{INGESTED} changes more than data and results, so nothing of it runs: delete the branch" >&2
  exit 1; }}
git checkout --quiet --force --detach "$proposed"
"""
CANDIDATE = "refs/mlops/candidate"  # what the gate judges, whatever was checked out between

with DAG(
    dag_id=NAME or "model",
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # each run brings what came since the newest day of main: none is lost
    max_active_runs=1,  # there is one clone,
    max_active_tasks=1,  # and one checkout in it
    params={"since": ""},  # a day to bring rows from once more, in a run by hand
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=6),  # what hangs would keep the clone for ever
        "cwd": str(CLONE),
        "append_env": True,
    },
):
    window = {"SINCE": "{{ params.since }}", "UNTIL": "{{ data_interval_end | ds }}"}
    ingest = BashOperator(task_id="ingest", bash_command=f"{MAIN} && make ingest", env=window)
    made = f"{PROPOSED}make candidate && git update-ref {CANDIDATE} HEAD"
    candidate = BashOperator(task_id="candidate", bash_command=made)
    judged = f"git checkout --quiet --force --detach {CANDIDATE} && make gate"
    gate = BashOperator(task_id="gate", bash_command=judged, retries=0)  # no verdict gets better
    # 99 is skipped, and refresh with it.
    watched = f'test -n "${{LOG:-}}" || exit 99; {MAIN} && make monitor'
    monitor = BashOperator(task_id="monitor", bash_command=watched)
    because = {"BECAUSE": "reports/monitor/monitor.json"}
    refresh = BashOperator(task_id="refresh", bash_command=f"{MAIN} && make refresh", env=because)

    ingest >> candidate >> gate
    monitor >> refresh
