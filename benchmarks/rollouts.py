"""What the analysis of `deploy/kubernetes/rollouts` finds of new pods that fail, minute by minute.

python benchmarks/rollouts.py
"""

import re
from pathlib import Path

import numpy as np
import yaml

FILE = "{{cookiecutter.project_slug}}/deploy/kubernetes/rollouts/analysis.yaml"
TEMPLATE, _ = yaml.safe_load_all((Path(__file__).parents[1] / FILE).read_text(encoding="utf-8"))
METRIC = TEMPLATE["spec"]["metrics"][0]  # errors
FACTOR = int(re.findall(r"vector\((\d)\)\)\)", METRIC["provider"]["prometheus"]["query"])[0])
BOUND = float(METRIC["failureCondition"].split()[-1])
LIMIT = next(float(one["value"]) for one in TEMPLATE["spec"]["args"] if one["name"] == "failing")
RUNS, MINUTES = 10_000, 60


def aborts(rate: float, a_minute: int) -> np.ndarray:
    """Return the minute in which each of RUNS canaries was aborted; infinity where it was not."""
    failed = np.random.default_rng(0).binomial(a_minute, rate, (RUNS, MINUTES)).cumsum(axis=1)
    well = a_minute * np.arange(1, MINUTES + 1) - failed
    gain, loss = np.log(FACTOR), np.log((1 - FACTOR * LIMIT) / (1 - LIMIT))
    above = failed * gain + well * loss >= np.log(BOUND)
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1.0, np.inf)


def main() -> None:
    print(f"limit {LIMIT:.0%}, aborted when {FACTOR} times it is {BOUND:g} times as likely")
    for a_minute in (20, 200):
        for rate in (LIMIT / 2, LIMIT, 2 * LIMIT, 3 * LIMIT, 5 * LIMIT, 10 * LIMIT):
            minutes = aborts(rate, a_minute)
            share = {wait: np.mean(minutes <= wait) for wait in (10, 20, MINUTES)}
            told = ", ".join(f"{one:6.2%} by minute {wait}" for wait, one in share.items())
            print(f"{a_minute:4} requests a minute, {rate:5.1%} fail: {told}")


if __name__ == "__main__":
    main()
