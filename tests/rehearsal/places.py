"""What an expression may name where: GitHub's table "Context availability"."""

BASIC = {"github", "inputs", "vars"}
JOB_LEVEL = {*BASIC, "needs", "strategy", "matrix"}
STEP_LEVEL = {*JOB_LEVEL, "env", "job", "runner", "secrets", "steps"}
# The place, its contexts, and whether it may ask for the status and hash files.
PLACES: dict[str, tuple[set[str], bool, bool]] = {
    "concurrency": (BASIC, False, False),
    "env": ({*BASIC, "secrets"}, False, False),
    "run-name": (BASIC, False, False),
    "job.if": ({*BASIC, "needs"}, True, False),
    "job.name": (JOB_LEVEL, False, False),
    "job.env": ({*JOB_LEVEL, "secrets"}, False, False),
    "job.environment": (JOB_LEVEL, False, False),
    "job.outputs": (STEP_LEVEL, False, False),
    "job.other": (JOB_LEVEL, False, False),
    "step.if": (STEP_LEVEL - {"secrets"}, True, True),
    "step": (STEP_LEVEL, False, True),
    "action.step": ({"inputs", "github", "runner", "env", "steps", "job"}, False, True),
    "action.step.if": ({"inputs", "github", "runner", "env", "steps", "job"}, True, True),
    "action.outputs": ({"inputs", "github", "runner", "env", "steps", "job"}, False, False),
}
