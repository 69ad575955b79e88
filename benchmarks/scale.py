"""How time and memory of each stage grow with the rows of the sample.

    python benchmarks/scale.py [ROWS ...]      (default: 100000 1000000; add 10000000 for the end)

Peaks are those of the largest process so far, so sizes must rise.
"""

import sys

import project

STAGES = ("resolve", "prepare", "train", "evaluate", "bundle", "track")


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [100_000, 1_000_000]
    project.generate()
    before: dict[str, project.Cost] = {}
    for rows in sizes:
        project.measured("mlops", "sample", "--rows", str(rows))
        print(f"\n{rows:,} rows\n| stage | seconds | times | peak MiB so far |\n|---|---|---|---|")
        costs = {stage: project.measured("mlops", stage) for stage in STAGES}
        total = sum(cost.seconds for cost in costs.values())
        costs["all"] = project.Cost(total, max(cost.mebibytes for cost in costs.values()))
        for stage, cost in costs.items():
            times = f"{cost.seconds / before[stage].seconds:.1f}" if before else ""
            print(f"| {stage} | {cost.seconds:.1f} | {times} | {cost.mebibytes:,.0f} |", flush=True)
        before = costs


if __name__ == "__main__":
    main()
