"""Take a table of the user's own: infer its contract, version it, and set the experiment on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from ..config import compose
from ..config.experiment import Experiment, read_experiment
from ..config.settings import Derived, Settings, Split
from ..contract import Contract
from ..errors import ProjectError
from ..features import agreement
from ..features.encoding import KINDS
from ..git.dvc import dvc_add, maker
from ..git.repository import Repository
from .declaration import adopted, contract_text, features_text, unedited, with_choices
from .merging import base_of, merge, read
from .proposal import Options, Proposal, name_of, propose
from .summary import summary
from .transaction import RAW, check_raw, exchange, exclusive

PARAMS = Path("params.yaml")
CONF = Path("conf")


class AdoptionError(ProjectError):
    """The project cannot take the table."""


@dataclass(frozen=True)
class Adoption:
    """What an adoption found and wrote; printed, it says so in a few lines."""

    file: Path
    proposal: Proposal
    split: Split
    written: tuple[Path, ...]
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        return summary(self.file, self.proposal, self.split, self.written, self.told)


def adopt(repository: Repository, file: Path, target: str, **options: Unpack[Options]) -> Adoption:
    """Adopt a CSV or Parquet file as the data of this project, all or nothing.

    Where its contract was edited since an adoption, the edits stay, and the differences are told;
    with the option `anew` the proposal takes their place. Raises a ProjectError, having changed
    nothing, for a table that cannot be one (see propose), and where raw data would be lost. The
    split of an experiment that is on these data already stays too, unless the options decide it.
    """
    project = repository.root
    if not (project / PARAMS).is_file() or not (project / CONF).is_dir():
        raise AdoptionError(
            f"{project.resolve()} has no params.yaml and conf/: run this in a project's root folder"
        )
    with exclusive(project):
        _check_made(project)
        anew = options.pop("anew", False)
        earlier = None if anew else _stands(project, file, options.get("name"))
        proposal = propose(file, target, earlier, **options)
        check_raw(repository, file)
        asked = {name for name in ("time", "group", "key") if options.get(name)}
        texts, told = _texts(repository, file, proposal, anew=anew, asked=asked)
        with exchange(project, file, texts):
            split = _checked(project).split
            pointer = dvc_add(repository, RAW)
    return Adoption(file, proposal, split, (*texts, pointer), told)


def _stands(project: Path, file: Path, name: str | None) -> Contract | None:
    """Return the contract of an earlier adoption of these data that the experiment is on."""
    called = name_of(file, name)
    path = CONF / "data" / f"{called}.yaml"
    if not _is_on(read_experiment(project / PARAMS), called):
        return None
    old = _earlier(project, path)
    return None if old is None else read(path, old)


def _check_made(project: Path) -> None:
    """Raise where a stage makes the raw data: it would put its own in the place of the table."""
    if (stage := maker(project, RAW)) is not None:
        raise AdoptionError(
            f"the stage {stage} of dvc.yaml makes {RAW}: take it out with `dvc remove --outs "
            f"{stage}` and adopt again, or have it fetch this table and declare the columns in "
            "conf/data"
        )


def _texts(
    repository: Repository, file: Path, proposal: Proposal, *, anew: bool, asked: set[str]
) -> tuple[dict[Path, str], tuple[str, ...]]:
    """Return the files to write, params.yaml last, and what was kept of those there were."""
    project, name, contract = repository.root, proposal.contract.name, proposal.contract
    path = CONF / "data" / f"{name}.yaml"
    old = _earlier(project, path)
    told: tuple[str, ...] = ()
    if old is not None and not anew and not unedited(old):
        contract, told = merge(path, old, base_of(repository, path), proposal.contract)
    texts = {path: contract_text(contract, file.name, proposal.rows, proposal.contract)}
    derived, exclude = _readable(proposal, contract)
    choices: dict[str, Mapping[str, Any]] = {
        "data": {"use": name},
        "features": {"use": name if derived else "columns"},
        "split": proposal.split,
    }
    features = CONF / "features" / f"{name}.yaml"
    earlier = _earlier(project, features) if derived or old is not None else None
    if earlier is not None and not anew and not unedited(earlier):
        told = (*told, f"kept as edited: {features}")
        choices["features"] = {"use": name}
    elif derived:
        texts[features] = features_text(name, derived, exclude)
    experiment = read_experiment(project / PARAMS)
    again = old is not None and not anew
    if again and _is_chosen(experiment, name, asked):
        del choices["split"]
    before = (project / PARAMS).read_text(encoding="utf-8")
    return texts | {PARAMS: with_choices(before, choices, fresh=not again)}, told


def _readable(proposal: Proposal, contract: Contract) -> tuple[dict[str, Derived], list[str]]:
    """Return what is derived from columns that an edited contract still has for it."""
    kept = {
        name
        for name, column in contract.columns.items()
        if "ignored" not in column.roles
        and KINDS[column.type] == KINDS[proposal.contract.columns[name].type]
    }
    derived = {name: one for name, one in proposal.derived.items() if kept.issuperset(one.columns)}
    replaced = kept.intersection(contract.names("feature"))
    return derived, [name for name in proposal.exclude if name in replaced]


def _earlier(project: Path, path: Path) -> str | None:
    """Return a file that an adoption wrote; raise where somebody else's would be lost."""
    if not (project / path).exists():
        return None
    text = (project / path).read_text(encoding="utf-8")
    if not adopted(text):
        raise AdoptionError(f"{path} is not from an adoption: choose another --name")
    return text


def _is_on(experiment: Mapping[str, Any], name: str) -> bool:
    """Say whether the experiment is on these data already."""
    data = experiment.get("data")
    return isinstance(data, Mapping) and data.get("use") == name


def _is_chosen(experiment: Mapping[str, Any], name: str, asked: set[str]) -> bool:
    """Say whether the experiment is on these data already, with a split that nobody asked anew for.

    A key decides a split by hash, and no other.
    """
    split = experiment.get("split")
    if not _is_on(experiment, name) or not isinstance(split, Mapping):
        return False
    return not asked - ({"key"} if split.get("use") != "hash" else set())


def _checked(project: Path) -> Settings:
    """Return what is composed; raise where what params.yaml says elsewhere suits no such data."""
    conf, experiment = project / CONF, read_experiment(project / PARAMS)
    parsed = compose.settings_of(conf, experiment)
    compose.check_task(conf, parsed)
    agreement.check(parsed, Experiment.parse(conf, experiment).used)
    return parsed
