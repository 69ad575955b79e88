"""How often the comparison with the champion errs.

    python benchmarks/gate/false_promotions.py [SEEDS]

10,000 holdout rows, 30 % positive, 1,000 resamples, confidence 0.95, two-sided. The champion's
true ROC AUC is 0.80. The margin of non-inferiority is 0.01: half of the loss that must be seen,
and more than the noise of two similar models on as many rows.
"""

import sys
from functools import partial

import holdouts
from tqdm import tqdm

from mlops.gate.rule import Rule
from mlops.gate.rules.comparison import NonInferiority, Superiority

ROWS, POSITIVE, RESAMPLES, CHAMPION, MARGIN = 10_000, 0.3, 1000, 0.80, 0.01
SUPERIOR = Superiority(margins={"roc_auc": 0.0}, sides="two")
NOT_INFERIOR = NonInferiority(margins={"roc_auc": MARGIN}, sides="two")
PROPOSED = 0.02  # what the gate says of unlike models on as many rows
WIDER = NonInferiority(margins={"roc_auc": PROPOSED}, sides="two")


def passes(rule: Rule, auc: float, alike: float, seed: int) -> bool:
    """Return whether a candidate with this true AUC passes the rule in one simulated world."""
    truth = holdouts.target(ROWS, POSITIVE, seed)
    candidate, champion = holdouts.pair(truth, auc, CHAMPION, alike, seed + 10_000)
    (found,) = rule.judge(holdouts.case(truth, candidate, champion, seed, RESAMPLES))
    return found.verdict == "passed"


def main(seeds: int) -> None:
    """Print the rates for models that are much alike and for such that share nothing."""
    for alike in (0.9, 0.0):
        print(f"noise of the two models correlates by {alike}, {seeds} seeds")
        for said, rule, auc in (
            ("superiority passes an equally good model (at most 5 %)", SUPERIOR, CHAMPION),
            ("superiority passes a model 2 points better", SUPERIOR, CHAMPION + 0.02),
            (
                f"non-inferiority ({MARGIN}) blocks a model 2 points worse (at least 95 %)",
                NOT_INFERIOR,
                CHAMPION - 0.02,
            ),
            (f"non-inferiority ({MARGIN}) blocks an equally good model", NOT_INFERIOR, CHAMPION),
            (f"at the proposed {PROPOSED} it passes one (at least 80 %)", WIDER, CHAMPION),
            (
                f"at the proposed {PROPOSED} it blocks a model 2 points worse (at least 95 %)",
                WIDER,
                CHAMPION - 0.02,
            ),
        ):
            one = partial(passes, rule, auc, alike)
            passed = sum(map(one, tqdm(range(seeds), leave=False)))
            rate = passed if "passes" in said else seeds - passed
            print(f"  {said}: {rate} of {seeds} ({rate / seeds:.1%})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
