"""deploy/observability: what Prometheus and Grafana are given, as conf/monitoring says."""

from pathlib import Path

from ..errors import ProjectError
from ..files import write_text
from .grafana import dashboard
from .prometheus import rules

RULES, DASHBOARD = "rules.yaml", "dashboard.json"


class ObservabilityError(ProjectError):
    """The project has no policy that rules could be made of."""


def write(folder: Path) -> list[Path]:
    """Write both by the conf/ and params.yaml of this folder; return their paths."""
    from ..config.compose import CONF, composed
    from ..config.experiment import EXPERIMENT, read_experiment

    policy = composed(CONF, read_experiment(EXPERIMENT)).get("monitoring")
    if not policy:
        raise ObservabilityError(
            "there is no policy of monitoring: take conf/monitoring and its line in "
            "conf/config.yaml from the template"
        )
    told = {RULES: rules(policy), DASHBOARD: dashboard()}
    for name, text in told.items():
        write_text(folder / name, text)
    return [folder / name for name in told]
