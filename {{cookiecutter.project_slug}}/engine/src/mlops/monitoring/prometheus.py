"""Rules for Prometheus over a server's /metrics: within minutes what breaks, days for the rest."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

DOCS = "engine/docs/alerts.md"
HEADER = "# Written by `mlops dashboards` from conf/monitoring: change that, not this.\n"
# Beside routes that say "not ready" by an error.
ANSWERED = 'mlops_requests_total{route!~"/(readyz|healthz|metrics)"}'
FAILED = 'mlops_requests_total{route!~"/(readyz|healthz|metrics)", status="5xx"}'
# Rows are looked at every minute, of every feature and for good: by chance alone something is
# this many errors off once in years.
ERRORS = 5
SHARES, MEANS = "30m", "1h"
# A normal that moves by one deviation wins 0.28 more of its comparisons: P(later > before) - 1/2.
DEVIATION = 0.28
LEAST = {"missing": 0.01, "unseen": 0.005, "prediction_drift": 0.03}
ARRIVAL = {"at_least": 0.3, "at_most": 3.0}
ROWS = 100


class Alert(NamedTuple):
    """One rule: what it is called, when it fires, whom it concerns."""

    name: str
    expr: str
    waits: str
    severity: str  # page: quality is broken now; ticket: in working hours; info: look some time
    summary: str
    description: str

    @property
    def entry(self) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        docs = f"{DOCS}#{self.name.lower()}"
        told = {"summary": self.summary, "description": self.description, "docs": docs}
        labels = {"severity": self.severity}
        head = {"alert": self.name, "expr": self.expr, "for": self.waits}
        return {**head, "labels": labels, "annotations": told}


def rules(policy: Mapping[str, Any]) -> str:
    """Return the file of rules, by what a policy of conf/monitoring says."""
    found = [*_server(), *_quality(policy), *_arrival(policy)]
    # In one group, rules are evaluated one behind the other: alerts see the shares of their minute.
    recorded = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    group = {"name": "mlops", "rules": [*recorded, *(alert.entry for alert in found)]}
    body = yaml.dump(
        {"groups": [group]}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return HEADER + body


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, and long expressions as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _rows(name: str, window: str) -> str:
    return f"sum by (job, model, feature) (increase({name}[{window}]))"


_MISSING = _rows("mlops_feature_missing_total", SHARES)
_UNSEEN = _rows("mlops_feature_unseen_total", SHARES)
_KNOWN = (
    f"({_rows('mlops_feature_count', SHARES)} or "
    f"{_rows('mlops_feature_category_total', SHARES)} + {_UNSEEN})"
)
_OF_PREDICTIONS = "sum by (job, model, label)"
_ALL = f"mlops:feature_rows:increase{SHARES}"
RECORDED = {
    _ALL: f"{_KNOWN} + {_MISSING}",
    f"mlops:feature_missing:share{SHARES}": f"{_MISSING} / ({_ALL} > 0)",
    f"mlops:feature_unseen:share{SHARES}": f"{_UNSEEN} / ({_ALL} > 0)",
    # The sum of negative predictions falls, which `increase` would take for a restart.
    f"mlops:prediction:mean{MEANS}": (
        f"{_OF_PREDICTIONS} (delta(mlops_prediction_sum[{MEANS}])) / "
        f"({_OF_PREDICTIONS} (delta(mlops_prediction_count[{MEANS}])) > 0)"
    ),
}


def _grown(metric: str, window: str) -> str:
    """Return how much a counter grew, one that was not there before included."""
    return f"increase({metric}[{window}]) > 0 or ({metric} unless {metric} offset {window}) > 0"


def _server() -> list[Alert]:
    """Return what holds for any server."""
    failed = f"sum by (job) (rate({FAILED}[5m]))"
    answered = f"sum by (job) (rate({ANSWERED}[5m]))"
    return [
        Alert(
            "MlopsNoServer",
            "absent(mlops_in_flight)",
            "5m",
            "page",
            "No server of a model is scraped",
            "No server answers Prometheus: look whether one runs, and whether /metrics is reached.",
        ),
        Alert(
            "MlopsNotReady",
            'mlops_in_flight unless on (job, instance) mlops_model_info{role="champion"}',
            "2m",
            "page",
            "{{ $labels.instance }} has no bundle to answer with",
            "The server runs and refuses requests: GET /readyz says why.",
        ),
        Alert(
            "MlopsErrors",
            f"{failed} / {answered} > 0.01\nand sum by (job) (increase({FAILED}[5m])) > 5",
            "5m",
            "page",
            "{{ $value | humanizePercentage }} of the answers of {{ $labels.job }} are errors",
            "Answers of the class 5xx: the server's log has each with its request id.",
        ),
        Alert(
            "MlopsSlow",
            "histogram_quantile(0.99, sum by (job, le) "
            '(rate(mlops_request_seconds_bucket{route="/predict"}[5m]))) > 0.5',
            "10m",
            "ticket",
            "One of 100 predictions of {{ $labels.job }} takes {{ $value | humanizeDuration }}",
            "Look at the load, the limits of the container, and the size of requests.",
        ),
        Alert(
            "MlopsBundleRefused",
            _grown('mlops_swaps_total{result="refused"}', "15m"),
            "0m",
            "ticket",
            "{{ $labels.instance }} refused a bundle and goes on with the one before",
            "What was to be served is not: the server's log and /readyz say why.",
        ),
        Alert(
            "MlopsLogDropped",
            _grown("mlops_log_dropped_total", "15m"),
            "0m",
            "ticket",
            "{{ $labels.instance }} lost rows of the prediction log ({{ $labels.reason }})",
            "The monitor judges the rows that are left: see engine/docs/serving-log.md.",
        ),
        Alert(
            "MlopsOnlineOutage",
            "increase(mlops_online_outages_total[5m]) > 0",
            "5m",
            "page",
            "The online store of {{ $labels.instance }} does not answer",
            "Its views count as stale, and each says what stands in for its values: look whether "
            "the store runs and is reached; the server's log has the reason.",
        ),
        Alert(
            "MlopsExperimentStopped",
            "mlops_experiment_stopped > 0",
            "0m",
            "page",
            "{{ $labels.instance }} has taken the challenger back",
            "Too many of its requests failed or were slow: /readyz says which. Remove the "
            "experiment.yaml of the environment, or the next start gives it its share again.",
        ),
    ]


def _quality(policy: Mapping[str, Any]) -> list[Alert]:
    """Return what compares rows with the bundle's profile; the least effects are the policy's."""
    rows = policy.get("min_rows", ROWS)
    alerts = []
    for name, words in (
        ("missing", "no value"),
        ("unseen", "a label that the model does not know"),
    ):
        if (least := _setting(policy, name, "least", LEAST[name])) is None:
            continue
        alerts.append(
            Alert(
                f"Mlops{name.capitalize()}",
                _beyond(f"mlops:feature_{name}:share{SHARES}", name, least, rows),
                "5m",
                "page",
                "{{ $labels.feature }}: {{ $value | humanizePercentage }} more rows than in the "
                f"reference have {words}",
                f"Of the rows of {SHARES} of model {{{{ $labels.model }}}}; more than {least:.1%} "
                "matters by conf/monitoring. Look at where the column comes from.",
            )
        )
    if (
        least := _setting(policy, "prediction_drift", "least", LEAST["prediction_drift"])
    ) is not None:
        alerts.append(_shifted(least, rows))
    return alerts


def _beyond(share: str, name: str, least: float, rows: int) -> str:
    """Return where a share is above its reference by the least effect and by more than chance."""
    reference = f"max by (model, feature) (mlops_feature_{name}_reference)"
    chance = f"{ERRORS} * sqrt({share} * (1 - {share}) / {_ALL})"
    return (
        f"({share} - on (model, feature) group_left () {reference}) > {least:g} + {chance}\n"
        f"and {_ALL} >= {rows}"
    )


def _shifted(least: float, rows: int) -> Alert:
    mean, on = f"mlops:prediction:mean{MEANS}", "on (model, label) group_left ()"
    reference = "max by (model, label) (mlops_prediction_reference_mean)"
    deviation = "(max by (model, label) (mlops_prediction_reference_deviation) > 0)"
    count = f"sum by (job, model, label) (increase(mlops_prediction_count[{MEANS}]))"
    restarted = f"sum by (job, model, label) (resets(mlops_prediction_count[{MEANS}]))"
    return Alert(
        "MlopsPredictionsShifted",
        f"abs({mean} - {on} {reference}) / {on} {deviation}\n"
        f"> {least / DEVIATION:.3g} + {ERRORS} / sqrt({count})\n"
        f"and {count} >= {rows}\nand {restarted} == 0",
        "30m",
        "info",
        "The predictions of {{ $labels.model }} are {{ $value | humanize }} deviations from the "
        "reference",
        f"Their mean over {MEANS}. The hour of the day may be all: `mlops monitor` knows seasons.",
    )


def _arrival(policy: Mapping[str, Any]) -> list[Alert]:
    least = _setting(policy, "arrival", "at_least", ARRIVAL["at_least"])
    most = _setting(policy, "arrival", "at_most", ARRIVAL["at_most"])
    if least is None or most is None:
        return []
    now = "sum by (job) (increase(mlops_rows_total[1h]))"
    before = "sum by (job) (increase(mlops_rows_total[1h] offset 1w))"
    return [
        Alert(
            "MlopsArrival",
            f"({now} < {least:g} * {before} or {now} > {most:g} * {before})\n"
            f"and {before} >= {policy.get('min_rows', ROWS)}",
            "30m",
            "ticket",
            "{{ $labels.job }} answered {{ $value | humanize }} rows in an hour, unlike a week ago",
            f"Usual are {least:g} to {most:g} times as many as in the same hour a week before.",
        )
    ]


def _setting(policy: Mapping[str, Any], rule: str, name: str, default: float) -> float | None:
    """Return a setting of the first entry of a policy that is of a rule; None without one."""
    for entry, given in (policy.get("rules") or {}).items():
        about = given or {}
        if about.get("rule", entry) == rule:
            return float(about.get(name, default))
    return None
