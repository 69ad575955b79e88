"""The model card: what is known of the model in a page, and what its owner still has to say."""

from typing import Any

from ..config.settings import Settings
from ..config.views import Table
from ..contract import Contract

BLANK = "**To be filled in by the owner.**"


def card(
    settings: Settings,
    about: dict[str, Any],
    metrics: dict[str, Any],
    slices: dict[str, Any],
    content: dict[str, Any],
) -> str:
    """Return the card as Markdown; what no file declares stands there as a named blank.

    The sections follow Mitchell et al., Model Cards for Model Reporting (2019).
    """
    contract, origin = settings.data, content["lineage"]
    sensitive = ", ".join(contract.names("sensitive"))
    used = ", ".join(f"`{name}`" for name in content["features"])
    left = [
        f"- `{name}`: {column.reason or 'not declared why'}"
        for name, column in contract.columns.items()
        if "ignored" in column.roles
    ]
    parts = [
        f"# {contract.name}: {settings.model.target.rsplit('.', 1)[-1]}",
        f"{contract.task} model of `{contract.target}`"
        + (f" ({', '.join(contract.labels)})." if contract.labels else "."),
        "## Model",
        _list(
            {
                "Estimator": f"`{settings.model.target}`",
                **_searched(about),
                "Runtime": about["runtime"] + (f" ({about['reason']})" if about["reason"] else ""),
                "Trained on": f"{about['rows']:,} rows, {len(content['features'])} features",
                "Owner": contract.owner or BLANK,
                "Commit": f"`{origin['commit']}`" + ("" if origin["clean"] else ", with changes"),
            }
        ),
        "## Intended use",
        contract.description or BLANK,
        "Out of scope: " + BLANK,
        "## Data",
        _list({file["name"]: _rows(file["rows"], contract) for file in origin["data"][:24]}),
        *_terms(settings),
        f"Features: {used}.",
        "\n".join(["Left out:", "", *left]) if left else "No column was left out.",
        "## Measured on the holdout",
        f"{metrics['rows']['holdout']:,} rows, split by {settings.split.method}; intervals hold "
        f"{settings.evaluation.confidence:.0%} of {settings.evaluation.resamples} bootstrap draws.",
        _metrics(metrics["holdout"]),
        *_intervals(contract, metrics),
        *_decision(settings, metrics),
        "## Slices",
        _slices(slices, settings.evaluation.primary),
        "## Fairness",
        f"Sensitive columns: {sensitive}." if sensitive else f"Sensitive columns: {BLANK}",
        "## Risks, limits and how to appeal a decision",
        BLANK,
    ]
    return "\n\n".join(parts) + "\n"


def _searched(about: dict[str, Any]) -> dict[str, str]:
    """Return the parameters that a search found, where there was one."""
    if not (search := about["search"]):
        return {}
    found = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in about["parameters"].items()
    )
    ended = f", {search['pruned']} ended early" if "pruned" in search else ""
    return {"Search": f"{found} (of {search['trials']} trials on {search['folds']} folds{ended})"}


def _terms(settings: Settings) -> list[str]:
    """Return under what terms the table, and those of its views, may be used, where one is told."""
    views = settings.features.views.values()
    tables = {view.table.name: view.table for view in views}
    declared: list[Contract | Table] = [settings.data, *tables.values()]
    said = {
        one.name: "; ".join(
            f"{what} {text}"
            for what, text in (
                ("licence", one.licence),
                ("retention", one.retention),
                ("purpose", one.purpose),
                ("restricted:", "no value of it is shown" if one.restricted else ""),
            )
            if text
        )
        for one in declared
    }
    told = {f"`{name}`": text for name, text in said.items() if text}
    personal = [f"`{name}`" for name, column in settings.data.kept() if column.pii]
    parts = [f"Terms:\n\n{_list(told)}"] if told else []
    if personal:
        parts.append(f"Personal data, whose values are not shown: {', '.join(personal)}.")
    return parts


def _rows(rows: int, contract: Contract) -> str:
    """Return how many rows a file has, or what reads it where a row may come from several."""
    reader = contract.source.reader
    return f"read by `{reader}`" if reader else f"{rows:,} rows"


def _list(items: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in items.items())


def _metrics(holdout: dict[str, dict[str, float]]) -> str:
    rows = [f"| {name} | {_number(m['value'])} | {_interval(m)} |" for name, m in holdout.items()]
    return "\n".join(["| metric | value | interval |", "|---|---|---|", *rows])


def _intervals(contract: Contract, metrics: dict[str, Any]) -> list[str]:
    if contract.intervals is None:
        return []
    told, by = metrics["intervals"], contract.intervals.by
    what = "an interval" if contract.task == "regression" else "a set of labels"
    each = f", for each {by}" if by else ""
    share, promised = told["coverage"], contract.intervals.coverage
    return [
        f"With each prediction comes {what} that holds the truth of {promised:.1%} of all "
        f"rows{each} (of the holdout: {_number(share['value'])}, {_interval(share)}; mean "
        f"width {_number(told['width'])})."
    ]


def _decision(settings: Settings, metrics: dict[str, Any]) -> list[str]:
    """Return what is decided by the value table, and what that is worth, where there is one."""
    if settings.evaluation.value is None:
        return []
    told = metrics["value"]
    currency, mine = settings.evaluation.value.currency, told["per_row"]
    rows = [
        f"| {name} | {_number(told['otherwise'][name]['value'])} | {_number(one['value'])} | "
        f"{_interval(one)} |"
        for name, one in told["gain"].items()
    ]
    if "threshold" in told:
        below, above = settings.evaluation.value.names
        limited = "" if told["share"] == 1 else f"; at most {told['share']:.1%} of all rows"
        decided = (
            f"Above a probability of {told['threshold']:g} it is {above}, else {below}{limited}. "
            "The threshold was chosen on training rows by fits that had not seen them."
        )
    else:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in told["acted"].items())
        decided = (
            "It is what is worth most by the probabilities and the value table; of the holdout: "
            f"{shares}."
        )
    return [
        "## Decision",
        f"{decided} A row of the holdout brings {_number(mine['value'])} {currency} "
        f"({_interval(mine)}).",
        "\n".join(["| otherwise | a row brings | gained | interval |", "|---|---|---|---|", *rows]),
    ]


def _slices(slices: dict[str, dict[str, Any]], primary: str) -> str:
    rows = [
        f"| {name} | {s['rows']} | {_number(s[primary]['value'])} |"
        for name, s in slices.items()
        if primary in s
    ]
    if not rows:
        return "No slice has enough rows to be measured."
    return "\n".join([f"| slice | rows | {primary} |", "|---|---|---|", *rows])


def _interval(one: dict[str, float]) -> str:
    if one["low"] is None or one["high"] is None:
        return "none: too few rows of some class, or too few units"
    return f"{_number(one['low'])} to {_number(one['high'])}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
