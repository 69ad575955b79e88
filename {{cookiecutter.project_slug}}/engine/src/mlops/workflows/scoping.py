"""A project's workflow as the top of its repository has it: of this project, and of no neighbour.

A filter by path would not do where a check is required: GitHub waits for ever for one that never
reports, and compares 300 files at most. So a job asks git first, and what is required reports that
nothing of this project changed.
"""

import re
from collections.abc import Sequence

import yaml

from ..git.placement import Placement
from .edits import Edits, WorkflowError, is_flow, quoted
from .names import hashed, named, path

CHECKOUT, SETUP = "actions/checkout@", "engine/actions/setup"
PIN = re.compile(r"uses: (actions/checkout@\S+(?: # .*)?)")
STATUS = re.compile(r"\b(always|cancelled|failure)\(\)")
PATHS = ("path", "subject-path", "sbom-path")  # what actions take from the workspace
ASKED = ("push", "pull_request", "merge_group")
FILTERS = ("paths", "paths-ignore")
CHANGED = "needs.changed.outputs.changed"
SINCE = (
    "${{ github.event_name == 'pull_request' && 'HEAD^1' || github.event.merge_group.base_sha "
    "|| github.event.before }}"
)
JOB = """\
  # Whether this project is concerned: by what git says, since a required check has to report.
  changed:
    name: {name} changed
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    concurrency: # of each run its own
      group: {group}-${{{{ github.run_id }}}}
      cancel-in-progress: false
    permissions:
      contents: read
    outputs:
      changed: ${{{{ steps.changed.outputs.changed }}}}
    steps:
      - uses: {pin}
        with:
          fetch-depth: 0
          persist-credentials: false
      - name: Changed
        id: changed
        working-directory: {folder}
        env:
          SINCE: {since}
        run: make --silent changed >> "$GITHUB_OUTPUT"

"""

PUSHED = "check.yml"  # what automation starts on each commit that it pushes
NEIGHBOURS = """\
  # Such a commit starts no workflow of a neighbour, whose checks are required. Code of main alone.
  neighbours:
    name: {name} neighbours
    if: github.event_name == 'workflow_dispatch'
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
      statuses: write # on the commit, for projects of which it changes nothing
    steps:
      - uses: {pin}
        with:
          ref: refs/heads/main
          fetch-depth: 0
          persist-credentials: false
      - name: Report on the commit
        working-directory: {folder}
        env:
          GH_TOKEN: ${{{{ github.token }}}}
          GH_ENTERPRISE_TOKEN: ${{{{ github.token }}}}
        run: make neighbours

"""


def pin(texts: Sequence[str]) -> str | None:
    """Return the checkout that a project's workflows use; None where none has one."""
    return next((found[1] for text in texts if (found := PIN.search(text))), None)


def scoped(
    text: str, file: str, place: Placement, files: Sequence[str], checkout: str | None
) -> str:
    """Return the workflow `file` of the project at `place`, whose workflows are `files`.

    `checkout` is what fetches the repository. Raises WorkflowError for what cannot be moved.
    """
    text = _hashed(named(text, place, files), place, file)
    edits = Edits(text, file)
    top = edits.entries(edits.root)
    if missing := [key for key in ("on", "jobs") if key not in top]:
        raise WorkflowError(f"{file} is no workflow: {missing[0]} is missing")
    if "name" in top:
        edits.prefix(top["name"][1], f"{place.name} ")
    else:
        edits.insert(0, f"name: {place.name} {file.rpartition('.')[0]}\n")
    _check_defaults(edits, top, file)
    asks = _filtered(edits, top["on"][1], place)
    moved = _concurrency(edits, top, place, asks)
    jobs = edits.entries(top["jobs"][1])
    if asks:
        if checkout is None:
            raise WorkflowError(f"{file} has to ask git what changed: have a job check out first")
        group = f"{place.name}-{file.rpartition('.')[0]}-changed"
        told = {"pin": checkout, "folder": quoted(place.folder), "since": SINCE, "group": group}
        start = text.index("\n", top["jobs"][0].start_mark.index) + 1
        edits.insert(start, JOB.format(name=place.name, **told))
        if file == PUSHED:
            edits.insert(start, NEIGHBOURS.format(name=place.name, **told))
    for job in jobs.values():
        _job(edits, job, place, asks, moved, file)
    return edits.applied()


def _hashed(text: str, place: Placement, file: str) -> str:
    """Have `hashFiles` look into the folder, in the jobs that have it."""
    edits = Edits(text, file)
    jobs = edits.entries(edits.root).get("jobs")
    for _, job in edits.entries(jobs[1]).values() if jobs else ():
        if _checkout(edits, job) is not None:
            edits.replace(job, hashed(edits.raw(job), place))
    return edits.applied()


def _checkout(edits: Edits, job: yaml.Node) -> int | None:
    """Return which step of a job brings the repository."""
    steps = edits.entries(job).get("steps")
    for at, step in enumerate(edits.items(steps[1]) if steps else ()):
        uses = edits.entries(step).get("uses")
        if uses and uses[1].value.startswith(CHECKOUT):
            return at
    return None


def _check_defaults(edits: Edits, told: dict[str, tuple[yaml.Node, yaml.Node]], file: str) -> None:
    run = edits.entries(told["defaults"][1]).get("run") if "defaults" in told else None
    if run and "working-directory" in edits.entries(run[1]):
        raise WorkflowError(
            f"{file} has defaults.run.working-directory, which the top of the repository needs for "
            "the project's folder: name the folder in the steps"
        )


def _filtered(edits: Edits, on: yaml.Node, place: Placement) -> bool:
    """Have filters by path be of the folder; say whether an event has none, and git is asked."""
    if not isinstance(on, yaml.MappingNode):
        return any(one.value in ASKED for one in edits.items(on))
    asks = False
    for name, (_, event) in edits.entries(on).items():
        if name not in ASKED:
            continue
        told = edits.entries(event) if isinstance(event, yaml.MappingNode) else {}
        filters = [told[key][1] for key in FILTERS if key in told]
        for pattern in (item for one in filters for item in edits.items(one)):
            edits.change(pattern, lambda line: path(line, place))
        asks = asks or not (filters or "types" in told)
    return asks


def _concurrency(
    edits: Edits, top: dict[str, tuple[yaml.Node, yaml.Node]], place: Placement, asks: bool
) -> str:
    """Have the group be this project's; return it where it goes to the jobs.

    A run that waits is given up for the next one, even where that finds nothing to do: where none
    may be lost, only jobs that do something wait.
    """
    if "concurrency" not in top:
        return ""
    key, value = top["concurrency"]
    told = edits.entries(value) if isinstance(value, yaml.MappingNode) else {}
    group = edits.short(value, "group")
    cancels = told["cancel-in-progress"][1].value if "cancel-in-progress" in told else "false"
    if asks and cancels == "false":
        edits.remove(key, value)
        return f"{place.name}-{group.value}"
    edits.prefix(group, f"{place.name}-")
    return ""


def _job(
    edits: Edits,
    job: tuple[yaml.Node, yaml.Node],
    place: Placement,
    asks: bool,
    moved: str,
    file: str,
) -> None:
    key, node = job
    told = edits.entries(node)
    if is_flow(node) or "steps" not in told:
        raise WorkflowError(
            f"{file}: the job {key.value} is written in braces, or has no steps: write it out"
        )
    steps = told["steps"]
    name = told.get("name")
    if name:
        edits.prefix(name[1], f"{place.name} ")
    else:
        edits.before(steps[0], f"name: {place.name} {key.value}")
    if "concurrency" in told:
        edits.prefix(edits.short(told["concurrency"][1], "group"), f"{place.name}-")
    elif moved and "needs" not in told:
        lines = (
            f"concurrency: # none is lost\n  group: {quoted(moved)}\n  cancel-in-progress: false"
        )
        edits.before(steps[0], lines)
    if "environment" in told:
        edits.prefix(edits.short(told["environment"][1], "name"), f"{place.name}-")
    checkout = _checkout(edits, node)
    if checkout is not None:
        if "defaults" in told:
            raise WorkflowError(
                f"{file}: the job {key.value} has defaults of its own: name folder and shell in "
                "its steps"
            )
        lines = f"defaults:\n  run:\n    working-directory: {quoted(place.folder)}"
        edits.before(steps[0], lines)
    reports = asks and _asking(edits, told, steps[0])
    items = edits.items(steps[1])
    if reports:
        at = items[0].start_mark.index - (items[0].start_mark.column - steps[1].start_mark.column)
        edits.insert(at, _nothing(place.name, steps[1].start_mark.column))
    for at, step in enumerate(items):
        inside = checkout is not None and at > checkout
        early = checkout is not None and at < checkout
        _step(edits, step, place, inside, early)
        if reports:
            _condition(edits, step, f"{CHANGED} != 'no'")


def _asking(edits: Edits, told: dict[str, tuple[yaml.Node, yaml.Node]], steps: yaml.Node) -> bool:
    """Have a job wait for what git says; say whether it has to report whatever that is."""
    condition = told["if"][1].value if "if" in told else ""
    if "needs" in told and not STATUS.search(condition):
        return False  # it is skipped with what it needs
    if "needs" in told:
        others = [one.value for one in edits.items(told["needs"][1])]
        edits.replace(told["needs"][1], f"[{', '.join(['changed', *others])}]")
    else:
        edits.before(steps, "needs: changed")
    if "always()" in condition:
        return True
    asked = f"{CHANGED} == 'yes'"
    if "if" in told:
        edits.replace(told["if"][1], _both(asked, condition))
    else:
        edits.before(steps, f"if: {asked}")
    return False


def _nothing(name: str, column: int) -> str:
    lines = [
        f"- name: Nothing of {name} changed",
        f"  if: {CHANGED} == 'no'",
        f'  run: echo "::notice::Nothing of {name} changed."',
    ]
    return "\n".join(lines).replace("\n", f"\n{' ' * column}") + f"\n{' ' * column}"


def _condition(edits: Edits, step: yaml.Node, asked: str) -> None:
    told = edits.entries(step)
    if "if" in told:
        edits.replace(told["if"][1], _both(asked, told["if"][1].value))
    else:
        edits.add(step, "if", asked)


def _both(asked: str, condition: str) -> str:
    told = condition.strip()
    if told.startswith("${{") and told.endswith("}}") and told.count("${{") == 1:
        told = told[3:-2].strip()
    return quoted(f"{asked} && ({told})")


def _step(edits: Edits, step: yaml.Node, place: Placement, inside: bool, early: bool) -> None:
    told = edits.entries(step)
    uses = told["uses"][1].value if "uses" in told else ""
    given = edits.entries(told["with"][1]) if "with" in told else {}
    if uses.startswith("./"):
        edits.change(told["uses"][1], lambda line: f"./{place.path(line.removeprefix('./'))}")
    if uses == f"./{SETUP}":
        if "with" in told:
            edits.add(told["with"][1], "folder", quoted(place.folder))
        else:
            edits.after(*told["uses"], f"with: {{folder: {quoted(place.folder)}}}")
    for name, (_, value) in given.items():
        if inside and name in PATHS:
            edits.change(value, lambda line: path(line, place))
        if uses.startswith("actions/cache@") and name in ("key", "restore-keys"):
            edits.change(value, lambda line: _named(line, place))
        if uses.startswith("marocchino/sticky-pull-request-comment@") and name == "header":
            edits.prefix(value, f"{place.name}-")
    if "run" not in told:
        return
    if "working-directory" in told:
        if inside:
            edits.change(told["working-directory"][1], lambda line: path(line, place))
    elif early:
        edits.add(step, "working-directory", ".")


def _named(line: str, place: Placement) -> str:
    told = line.lstrip()
    return f"{line[: len(line) - len(told)]}{place.name}-{told}" if told else line
