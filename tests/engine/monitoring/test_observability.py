"""Rules and dashboard: promtool takes them, a real Prometheus fires them, a policy moves them."""

import json
from pathlib import Path

import pytest
import yaml
from baked import SOURCE
from prometheus import check, queries, unit_tests

from mlops.cli import main
from mlops.monitoring.grafana import dashboard
from mlops.monitoring.prometheus import rules

STANDARD = SOURCE / "conf/monitoring/standard.yaml"
WRITTEN = SOURCE / "deploy/observability"
POLICY = {
    "min_rows": 100,
    "rules": {
        "arrival": {"at_least": 0.3, "at_most": 3.0},
        "missing": {"least": 0.01},
        "unseen": {"least": 0.005},
        "prediction_drift": {"least": 0.03},
    },
}
OF = 'job="?", model="?", instance="?"'  # of each case its own
FEE = f'{{{OF}, feature="fee"}}'
PLAN = f'{{{OF}, feature="plan"'
QUIET = {
    f"mlops_in_flight{{{OF}}}": "0+0x125",
    f'mlops_model_info{{{OF}, role="champion", name="churn", digest="aa"}}': "1+0x125",
    f'mlops_requests_total{{{OF}, route="/predict", status="2xx"}}': "0+100x125",
    f'mlops_requests_total{{{OF}, route="/readyz", status="5xx"}}': "0+100x125",
    f'mlops_request_seconds_bucket{{{OF}, route="/predict", le="0.25"}}': "0+100x125",
    f'mlops_request_seconds_bucket{{{OF}, route="/predict", le="1"}}': "0+100x125",
    f'mlops_request_seconds_bucket{{{OF}, route="/predict", le="+Inf"}}': "0+100x125",
    f"mlops_rows_total{{{OF}}}": "0+100x125",
    f"mlops_feature_count{FEE}": "0+95x125",
    f"mlops_feature_missing_total{FEE}": "0+5x125",
    f"mlops_feature_missing_reference{FEE}": "0.05+0x125",
    f'mlops_feature_category_total{PLAN}, category="x"}}': "0+60x125",
    f'mlops_feature_category_total{PLAN}, category="y"}}': "0+40x125",
    f"mlops_feature_unseen_total{PLAN}}}": "0+0x125",
    f"mlops_feature_missing_total{PLAN}}}": "0+0x125",
    f"mlops_feature_missing_reference{PLAN}}}": "0+0x125",
    f"mlops_feature_unseen_reference{PLAN}}}": "0+0x125",
    f"mlops_prediction_sum{{{OF}}}": "0+30x125",
    f"mlops_prediction_count{{{OF}}}": "0+100x125",
    f"mlops_prediction_reference_mean{{{OF}}}": "0.3+0x125",
    f"mlops_prediction_reference_deviation{{{OF}}}": "0.2+0x125",
}
REFUSED = f'mlops_swaps_total{{{OF}, result="refused"}}'
DROPPED = f'mlops_log_dropped_total{{{OF}, reason="disk"}}'
STOPPED = f"mlops_experiment_stopped{{{OF}}}"
OUTAGES = f"mlops_online_outages_total{{{OF}}}"
# What is otherwise, and the alert that fires from it; none where it is too little to matter.
CASES: dict[str, tuple[dict[str, str | None], set[str]]] = {
    "quiet": ({}, set()),
    "not ready": (
        {f'mlops_model_info{{{OF}, role="champion", name="churn", digest="aa"}}': None},
        {"MlopsNotReady"},
    ),
    "errors": (
        {f'mlops_requests_total{{{OF}, route="/predict", status="5xx"}}': "0+5x125"},
        {"MlopsErrors"},
    ),
    "one error in an hour": (
        {f'mlops_requests_total{{{OF}, route="/predict", status="5xx"}}': "0+0x100 1+0x25"},
        set(),
    ),
    "slow": (
        {f'mlops_request_seconds_bucket{{{OF}, route="/predict", le="0.25"}}': "0+90x125"},
        {"MlopsSlow"},
    ),
    "refused, for the first time": ({REFUSED: "_x115 1+0x10"}, {"MlopsBundleRefused"}),
    "refused again": ({REFUSED: "1+0x115 2+0x10"}, {"MlopsBundleRefused"}),
    "refused long ago": ({REFUSED: "1+0x125"}, set()),
    "a store that stays away": ({OUTAGES: "0+0x100 1+60x25"}, {"MlopsOnlineOutage"}),
    "a store that was away for a moment": ({OUTAGES: "0+0x118 2+0x7"}, set()),
    "a challenger taken back": ({STOPPED: "0+0x118 1+0x7"}, {"MlopsExperimentStopped"}),
    "dropped": ({DROPPED: "_x115 70+0x10"}, {"MlopsLogDropped"}),
    "missing": (
        {
            f"mlops_feature_count{FEE}": "0+85x125",
            f"mlops_feature_missing_total{FEE}": "0+15x125",
        },
        {"MlopsMissing"},
    ),
    "a little more missing": (
        {
            f"mlops_feature_count{FEE}": "0+94x125",
            f"mlops_feature_missing_total{FEE}": "0+6x125",
        },
        set(),
    ),
    "missing of a category": (
        {
            f"mlops_feature_missing_total{PLAN}}}": "0+10x125",
            f'mlops_feature_category_total{PLAN}, category="x"}}': "0+50x125",
        },
        {"MlopsMissing"},
    ),
    "all missing, of too few rows": (
        {
            f"mlops_feature_count{FEE}": "0+0x125",
            f"mlops_feature_missing_total{FEE}": "0+2x125",
        },
        set(),
    ),
    "a column that is gone": (
        {
            f"mlops_feature_count{FEE}": "0+0x125",
            f"mlops_feature_missing_total{FEE}": "0+100x125",
        },
        {"MlopsMissing"},
    ),
    "unseen": ({f"mlops_feature_unseen_total{PLAN}}}": "0+5x125"}, {"MlopsUnseen"}),
    "one unseen": ({f"mlops_feature_unseen_total{PLAN}}}": "0+0x100 1+0x25"}, set()),
    "shifted": ({f"mlops_prediction_sum{{{OF}}}": "0+42x125"}, {"MlopsPredictionsShifted"}),
    "shifted below zero": (
        {f"mlops_prediction_sum{{{OF}}}": "0-42x125"},
        {"MlopsPredictionsShifted"},
    ),
    "shifted a little": ({f"mlops_prediction_sum{{{OF}}}": "0+31x125"}, set()),
    "no deviation": ({f"mlops_prediction_reference_deviation{{{OF}}}": "0+0x125"}, set()),
}
WEEK = {  # 20 minutes a step
    'mlops_rows_total{job="fallen"}': "0+2000x522 1044400+400x10",
    'mlops_rows_total{job="as usual"}': "0+2000x540",
    'mlops_rows_total{job="risen"}': "0+2000x522 1052000+8000x10",
    'mlops_rows_total{job="hardly any"}': "0+3x522 1566+0x10",
}


def alert_names(text: str) -> list[str]:
    [group] = yaml.safe_load(text)["groups"]
    return [one["alert"] for one in group["rules"] if "alert" in one]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rules")
    (made / "rules.yaml").write_text(rules(POLICY))
    return made


def test_promtool_takes_them(folder: Path) -> None:
    assert check(folder / "rules.yaml") == ""


def test_each_fires_where_it_should_and_nowhere_else(folder: Path) -> None:
    cases = {name: ({**QUIET, **changed}, fires) for name, (changed, fires) in CASES.items()}
    names = alert_names(rules(POLICY))
    away = {"MlopsNoServer", "MlopsArrival"}  # need a Prometheus, and a week, of their own
    assert set(names) == away | {name for _, fires in cases.values() for name in fires}
    series = {
        name.replace("?", case): values
        for case, (given, _) in cases.items()
        for name, values in given.items()
        if values
    }
    fired = {name: [case for case, (_, fires) in cases.items() if name in fires] for name in names}
    tests = [
        unit_test("1m", "2h", series, fired),
        unit_test("1m", "2h", {"up": "0+0x125"}, {"MlopsNoServer": [""]}),
    ]
    week = [unit_test("20m", "177h", WEEK, {"MlopsArrival": ["fallen", "risen"]})]
    for evaluated, told in (("1m", tests), ("30m", week)):
        content = {"rule_files": ["rules.yaml"], "evaluation_interval": evaluated, "tests": told}
        (folder / "tests.yaml").write_text(yaml.safe_dump(content))
        assert unit_tests(folder / "tests.yaml") == ""


def unit_test(
    interval: str, at: str, series: dict[str, str], fired: dict[str, list[str]]
) -> dict[str, object]:
    """Return a unit test of promtool: which alerts fire at a time, of which jobs."""
    asked = 'count by (job) (ALERTS{alertstate="firing", alertname="%s"})'
    return {
        "interval": interval,
        "input_series": [{"series": name, "values": told} for name, told in series.items()],
        "promql_expr_test": [
            {
                "expr": asked % name,
                "eval_time": at,
                "exp_samples": [
                    {"labels": f'{{job="{job}"}}' if job else "{}", "value": 1} for job in jobs
                ],
            }
            for name, jobs in fired.items()
        ],
    }


def test_rules_that_are_wrong_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rules(POLICY).replace("sum by (job)", "sum by job", 1))
    assert "parse error" in check(tmp_path / "rules.yaml")


def test_each_says_whom_it_concerns_and_where_to_read() -> None:
    docs = (SOURCE / "engine/docs/alerts.md").read_text()
    [group] = yaml.safe_load(rules(POLICY))["groups"]
    found = [one for one in group["rules"] if "alert" in one]
    assert {one["labels"]["severity"] for one in found} == {"page", "ticket", "info"}
    for one in found:
        assert set(one["annotations"]) == {"summary", "description", "docs"}
        assert one["annotations"]["docs"] == f"engine/docs/alerts.md#{one['alert'].lower()}"
        assert f"### {one['alert']}\n" in docs
        assert "for" in one


def test_a_policy_moves_them() -> None:
    moved = rules({"min_rows": 777, "rules": {"own": {"rule": "missing", "least": 0.25}}})
    assert "> 0.25 + 5 * sqrt" in moved
    assert ">= 777" in moved
    assert "MlopsUnseen" not in moved  # a rule that a policy has not
    assert "MlopsArrival" not in moved
    assert "MlopsNotReady" in moved


def test_what_is_committed_is_what_the_policy_makes() -> None:
    policy = yaml.safe_load(STANDARD.read_text()) if STANDARD.exists() else POLICY
    assert (WRITTEN / "rules.yaml").read_text() == rules(policy), "run `make dashboards`"
    assert (WRITTEN / "dashboard.json").read_text() == dashboard(), "run `make dashboards`"


def test_without_a_policy_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlops.config import compose

    monkeypatch.setattr(compose, "composed", lambda *_: {})
    monkeypatch.chdir(SOURCE)
    assert main(["dashboards", "--out", str(tmp_path / "out")]) == 2
    assert "no policy of monitoring" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(compose, "composed", lambda *_: {"monitoring": POLICY})
    assert main(["dashboards", "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rules.yaml", "dashboard.json"}


def test_the_dashboard_is_one() -> None:
    content = json.loads(dashboard())
    assert content["schemaVersion"] >= 36
    assert {one["name"] for one in content["templating"]["list"]} == {
        *("source", "job", "model", "feature")
    }
    panels = content["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
    assert "$" not in "".join(queries(content))
