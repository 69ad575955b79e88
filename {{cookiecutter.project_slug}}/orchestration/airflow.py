"""The daily work where Airflow calls it: the targets of the Makefile, in a clone of its own.

MLOPS_CLONE names the clone, on a worker that has Python and git and may push; what the targets read
(LOG, DVC_CONFIG, GH_TOKEN, …) is the worker's environment. See engine/docs/airflow.md.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

CLONE = os.environ.get("MLOPS_CLONE", "/opt/model")
MAIN = "git fetch --quiet --prune origin && git checkout --quiet --force -B main origin/main"
# The branch that ingest proposes; main, of which nothing is new, where there is none.
PROPOSED = (
    "git fetch --quiet --prune origin && git checkout --quiet --force --detach "
    '"$(git rev-parse --quiet --verify origin/ingest/data || echo origin/main)"'
)
CANDIDATE = "refs/mlops/candidate"  # what the gate judges, whatever was checked out between

with DAG(
    dag_id="model",
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # each run brings what came since the newest day of main: none is lost
    max_active_runs=1,  # there is one clone,
    max_active_tasks=1,  # and one checkout in it
    params={"since": ""},  # a day to bring rows from once more, in a run by hand
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "cwd": CLONE,
        "append_env": True,
    },
):
    window = {"SINCE": "{{ params.since }}", "UNTIL": "{{ data_interval_end | ds }}"}
    ingest = BashOperator(task_id="ingest", bash_command=f"{MAIN} && make ingest", env=window)
    made = f"{PROPOSED} && make candidate && git update-ref {CANDIDATE} HEAD"
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
