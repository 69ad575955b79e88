"""A dashboard for Grafana over the same metrics: the server above, what it is asked below."""

import json
from typing import Any

from .prometheus import ANSWERED, MEANS, SHARES

SCHEMA = 39
HALF, HEIGHT = 12, 8
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"
JOB = 'job=~"$job"'
OF = 'job=~"$job", model=~"$model"'
RECORDED = f'{{{OF}, feature=~"$feature"}}'


def dashboard() -> str:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    for title, drawn in ROWS:
        panels.append(_row(title, panels))
        panels += [_placed(one, at, panels) for at, one in enumerate(drawn)]
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    content = {
        "title": "Models in production",
        "uid": "mlops",
        "tags": ["mlops"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _variables() -> list[dict[str, Any]]:
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
    asked = {
        "job": "label_values(mlops_in_flight, job)",
        "model": f"label_values(mlops_model_info{{{JOB}}}, model)",
        "feature": f"label_values(mlops_feature_missing_total{{{OF}}}, feature)",
    }
    every = {"includeAll": True, "multi": True, "allValue": ".*", "refresh": 2, "sort": 1}
    every |= {"current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return [source] + [
        {"name": name, "type": "query", "label": name.capitalize(), "datasource": SOURCE}
        | {"query": query, "definition": query, **every}
        for name, query in asked.items()
    ]


def _row(title: str, before: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "row", "title": title, "collapsed": False, "panels": []} | {
        "gridPos": {"x": 0, "y": _below(before), "w": 2 * HALF, "h": 1}
    }


def _placed(panel: dict[str, Any], at: int, before: list[dict[str, Any]]) -> dict[str, Any]:
    top = _below(before) + HEIGHT * (at // 2)
    return {**panel, "gridPos": {"x": HALF * (at % 2), "y": top, "w": HALF, "h": HEIGHT}}


def _below(panels: list[dict[str, Any]]) -> int:
    places = [panel["gridPos"] for panel in panels]
    return max((place["y"] + place["h"] for place in places), default=0)


def _series(
    title: str, about: str, unit: str, *queries: tuple[str, str], stacked: bool = False
) -> dict[str, Any]:
    stacking = {"mode": "normal" if stacked else "none"}
    custom = {"fillOpacity": 20 if stacked else 0, "lineWidth": 2, "stacking": stacking}
    targets = [
        {"refId": chr(65 + at), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
        for at, (expr, legend) in enumerate(queries)
    ]
    return {
        "type": "timeseries",
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        | {"tooltip": {"mode": "multi", "sort": "desc"}},
    }


def _models() -> dict[str, Any]:
    query = f"max by (name, model, role) (mlops_model_info{{{JOB}}})"
    target = {"refId": "A", "expr": query, "format": "table", "instant": True, "datasource": SOURCE}
    return {
        "type": "table",
        "title": "What serves",
        "description": "Bundles by the first twelve letters of their digest.",
        "datasource": SOURCE,
        "targets": [target],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "transformations": [
            {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}
        ],
    }


def _quantile(share: float) -> str:
    by = f'sum by (le) (rate(mlops_request_seconds_bucket{{{JOB}, route="/predict"}}{RATE}))'
    return f"histogram_quantile({share}, {by})"


def _of_feature(what: str) -> str:
    return f"topk(10, mlops:feature_{what}:share{SHARES}{RECORDED})"


def _reference(what: str) -> str:
    """Return the references of the features that the line before draws."""
    mine = f'max by (model, feature) (mlops_feature_{what}_reference{{{OF}, feature=~"$feature"}})'
    return f"{mine} and on (model, feature) {_of_feature(what)}"


ROWS = [
    (
        "The server",
        [
            _models(),
            _series(
                "Answers",
                "By class of status; 5xx are the server's own errors.",
                "reqps",
                (
                    f"sum by (status) (rate({ANSWERED[:-1]}, {JOB}}}{RATE}))",
                    "{{status}}",
                ),
                stacked=True,
            ),
            _series(
                "Seconds of a prediction",
                "From the whole request to the answer.",
                "s",
                (_quantile(0.5), "half"),
                (_quantile(0.95), "95 %"),
                (_quantile(0.99), "99 %"),
            ),
            _series(
                "Rows",
                "Rows that were answered, beside a week before.",
                "rowsps",
                (f"sum(rate(mlops_rows_total{{{JOB}}}{RATE}))", "now"),
                (f"sum(rate(mlops_rows_total{{{JOB}}}{RATE} offset 1w))", "a week before"),
            ),
            _series(
                "Refused requests",
                "By reason.",
                "reqps",
                (f"sum by (reason) (rate(mlops_rejected_total{{{JOB}}}{RATE}))", "{{reason}}"),
                stacked=True,
            ),
            _series(
                "The prediction log",
                "Rows that it lost, and attempts to load a bundle.",
                "short",
                (
                    f"sum by (reason) (increase(mlops_log_dropped_total{{{JOB}}}[1h]))",
                    "lost: {{reason}}",
                ),
                (
                    f"sum by (result) (increase(mlops_swaps_total{{{JOB}}}[1h]))",
                    "bundle {{result}}",
                ),
            ),
            _series(
                "The online store",
                "How often it did not answer, which is asked once a second during an outage.",
                "short",
                (f"sum(increase(mlops_online_outages_total{{{JOB}}}[5m]))", "outages"),
            ),
        ],
    ),
    (
        "What it is asked",
        [
            _series(
                "Missing values",
                f"Share of the rows of {SHARES} without a value, of the features that lack most, "
                "and of the bundle's reference.",
                "percentunit",
                (_of_feature("missing"), "{{feature}}"),
                (_reference("missing"), "{{feature}}, reference"),
            ),
            _series(
                "Unknown labels",
                f"Share of the rows of {SHARES} with a label that the model does not know.",
                "percentunit",
                (_of_feature("unseen"), "{{feature}}"),
                (_reference("unseen"), "{{feature}}, reference"),
            ),
        ],
    ),
    (
        "What it answers",
        [
            _series(
                "Mean of the predictions",
                f"Over {MEANS}, beside the mean of the bundle's reference.",
                "short",
                (f"mlops:prediction:mean{MEANS}{{{OF}}}", "{{model}} {{label}}"),
                (
                    f"max by (model, label) (mlops_prediction_reference_mean{{{OF}}})",
                    "{{model}} {{label}}, reference",
                ),
            ),
            _series(
                "Quantiles of the predictions",
                "As far as the edges of the bundle's profile tell them.",
                "short",
                *(
                    (
                        f"histogram_quantile({share}, sum by (le, model, label) "
                        f"(increase(mlops_prediction_bucket{{{OF}}}[{MEANS}])))",
                        f"{share:.0%} {{{{model}}}} {{{{label}}}}",
                    )
                    for share in (0.1, 0.5, 0.9)
                ),
            ),
        ],
    ),
]
