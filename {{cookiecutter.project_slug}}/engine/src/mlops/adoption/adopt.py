"""Take a table of the user's own: infer its contract, version it, and set the experiment on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from ..config import compose, settings
from ..config.experiment import read_experiment
from ..errors import ProjectError
from ..git.dvc import dvc_add, maker
from ..git.repository import Repository
from .declaration import adopted, contract_text, features_text, unedited, with_choices
from .proposal import Options, Proposal, propose
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
    written: tuple[Path, ...]

    def __str__(self) -> str:
        return summary(self.file, self.proposal, self.written)


def adopt(repository: Repository, file: Path, target: str, **options: Unpack[Options]) -> Adoption:
    """Adopt a CSV or Parquet file as the data of this project, all or nothing.

    Raises a ProjectError, having changed nothing, for a table that cannot be one (see propose),
    and where raw data or files of conf/ would be lost.
    """
    project = repository.root
    if not (project / PARAMS).is_file() or not (project / CONF).is_dir():
        raise AdoptionError(
            f"{project.resolve()} has no params.yaml and conf/: run this in a project's root folder"
        )
    with exclusive(project):
        _check_made(repository.root)
        proposal = propose(file, target, **options)
        check_raw(repository, file)
        texts = _texts(repository, file, proposal)
        with exchange(project, file, texts):
            _check_experiment(project)
            pointer = dvc_add(repository, RAW)
    return Adoption(file, proposal, (*texts, pointer))


def _check_made(project: Path) -> None:
    """Raise where a stage makes the raw data: it would put its own in the place of the table."""
    if (stage := maker(project, RAW)) is not None:
        raise AdoptionError(
            f"the stage {stage} of dvc.yaml makes {RAW}: take it out with `dvc remove --outs "
            f"{stage}` and adopt again, or have it fetch this table and declare the columns in "
            "conf/data"
        )


def _texts(repository: Repository, file: Path, proposal: Proposal) -> dict[Path, str]:
    """Return the files to write; params.yaml is the last of them."""
    name = proposal.contract.name
    texts = {
        CONF / "data" / f"{name}.yaml": contract_text(proposal.contract, file.name, proposal.rows)
    }
    if proposal.derived:
        texts[CONF / "features" / f"{name}.yaml"] = features_text(name, proposal.derived)
    fresh = _check_overwritten(repository, texts)
    choices: dict[str, Mapping[str, str]] = {
        "data": {"use": name},
        "features": {"use": name if proposal.derived else "columns"},
        "split": proposal.split,
    }
    read_experiment(repository.root / PARAMS)
    before = (repository.root / PARAMS).read_text(encoding="utf-8")
    return texts | {PARAMS: with_choices(before, choices, fresh)}


def _check_overwritten(repository: Repository, texts: Mapping[Path, str]) -> bool:
    """Say whether a file will change; raise where somebody's own work would be lost."""
    fresh = False
    for path, text in texts.items():
        place = repository.root / path
        old = place.read_text(encoding="utf-8") if place.exists() else None
        fresh |= old != text
        if old is None or old == text or unedited(old):
            continue
        if not adopted(old):
            raise AdoptionError(f"{path} is not from an adoption: choose another --name")
        if not repository.is_clean([path]):
            raise AdoptionError(
                f"{path} was edited since its adoption: commit it, or choose another --name"
            )
    return fresh


def _check_experiment(project: Path) -> None:
    """Raise ConfigError where what params.yaml says elsewhere does not suit the new data."""
    conf = project / CONF
    resolved = compose.composed(conf, read_experiment(project / PARAMS))
    compose.check_task(conf, settings.Settings.parse(resolved))
