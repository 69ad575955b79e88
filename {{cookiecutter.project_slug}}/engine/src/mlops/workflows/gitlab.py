"""GitLab's jobs of one project among several, as a file that the one pipeline at the top includes.

Every file that a pipeline includes shares one namespace: jobs get the project's name, and what
holds for all jobs of a project goes to a hidden job that its others extend. Rules by path are
safe here, unlike on GitHub: what a merge request waits for is the pipeline, and not a job by name.
"""

import re
from pathlib import Path

from ..git.placement import Placement
from .copies import GITLAB, PIPELINE
from .edits import WorkflowError, quoted
from .jobs import Jobs
from .names import prefix

INCLUDED = f"{GITLAB}/*.yml"
TOP = f"""\
# The projects of this repository bring their jobs, written by `make workflows` in each of them.
# This file is yours from here on: it stays as it is as long as it includes theirs.
include:
  - local: {INCLUDED}

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == $CI_DEFAULT_BRANCH
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE =~ /^(push|web|schedule)$/
      auto_cancel: {{on_new_commit: none}} # the next merge may be a neighbour's, which releases nothing of this one

stages: [judge, push, release, schedule]

# A merge request waits for a pipeline, and one without a job is none: where no project is concerned.
repository:
  stage: judge
  image: python:3.11-trixie
  interruptible: true
  variables: {{GIT_STRATEGY: none}}
  script:
    - echo "Each project of which something changed has jobs beside this one."
"""  # noqa: E501 (GitLab's conditions have one line each)
START = """\
.{name} folder: &in-folder |
{lines}

.{name} changes: &changes
  - {folder}
  - {own}

"""
# What is read and written for one model: another's would be wrong, so that none stands in for it.
PREDICT = ("PREDICT_INPUT", "PREDICT_OUTPUT", "PREDICT_PARTITION", "PREDICT_LOG")
OWN = re.compile(
    r"\$(\{?)(MONITOR_LOG|INGEST|INGEST_SINCE|INGEST_TABLE|PREDICT_INPUT|EXPERIMENT|MATERIALISE"
    r"|ONLINE_STORE|REFRESH_EVERY_DAYS)\b"
)
SHARED = ("DVC_CONFIG", "LOG_CONFIG", "SOURCE_CONFIG", "INGEST_ENV")  # may be set once for all
ROOT = re.compile(r"\$(?:CI_PROJECT_DIR\b|\{CI_PROJECT_DIR\})")


def file(place: Placement) -> str:
    """Return the file at the top that has the project's jobs."""
    return f"{GITLAB}/{place.name}.yml"


def wanted(root: Path) -> dict[str, str]:
    """Return the pipeline at the top, by its path: as it is where it includes the projects'."""
    path = root / PIPELINE
    text = path.read_text(encoding="utf-8") if path.is_file() else TOP
    if not any(INCLUDED in line.partition("#")[0] for line in text.splitlines()):
        raise WorkflowError(
            f"{PIPELINE} at the top of the repository does not include the projects: write "
            f"`include: {INCLUDED}` there"
        )
    return {PIPELINE: text}


def scoped(text: str, place: Placement) -> str:
    """Return the jobs of the project at `place` from its own pipeline.

    Raises WorkflowError for what cannot be brought to where the others' jobs are.
    """
    text = ROOT.sub(lambda found: f"{found[0]}/{place.folder}", text)
    text = OWN.sub(lambda found: f"${found[1]}{prefix(place)}{found[2]}", text)
    return _start(place) + Jobs(text, place).written()


def _start(place: Placement) -> str:
    own = prefix(place)
    lines = [f'cd "$CI_PROJECT_DIR/{place.folder}"']
    lines += [f'test -z "${own}{one}" || export {one}="${own}{one}"' for one in SHARED]
    lines.append(" ".join(["export", *(f'{one}="${own}{one}"' for one in PREDICT)]))
    return START.format(
        name=place.name,
        lines="\n".join(f"  {line}" for line in lines),
        folder=quoted(f"{place.folder}/**/*"),
        own=file(place),
    )
