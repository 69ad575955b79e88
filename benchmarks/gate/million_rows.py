"""What judging a million holdout rows costs.

    python benchmarks/gate/million_rows.py [ROWS] [RESAMPLES]

Non-inferiority on ROC AUC and log loss, paired; at most 60 s and 4 GiB on two cores.
"""

import os
import resource
import sys
import time

import holdouts

from mlops.gate.rules.comparison import NonInferiority

ROWS, RESAMPLES = 1_000_000, 1000


def main(rows: int = ROWS, resamples: int = RESAMPLES) -> None:
    """Print the seconds that the rule takes, and the peak memory of the process."""
    truth = holdouts.target(rows, 0.3, seed=1)
    candidate, champion = holdouts.pair(truth, 0.8, 0.8, alike=0.9, seed=2)
    case = holdouts.case(truth, candidate, champion, seed=3, resamples=resamples)
    rule = NonInferiority(margins={"roc_auc": 0.01, "log_loss": 0.01}, sides="two")
    start, worked = time.perf_counter(), time.process_time()
    found = rule.judge(case)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    gibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{rows:,} rows, {resamples:,} resamples: {seconds:.1f} s ({worked:.1f} s of processor "
        f"time, {os.cpu_count()} cores), peak {gibibytes:.2f} GiB"
    )
    for one in found:
        print(f"  {one.verdict}: {one.reason}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
