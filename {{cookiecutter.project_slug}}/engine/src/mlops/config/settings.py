"""resolved.yaml as frozen settings that refuse what they do not know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgspec

from ..contract import Contract, Task
from ..errors import ProjectError
from ..files import read_yaml
from .value import Value
from .views import View

RESOLVED = Path("resolved.yaml")
LOCK = Path("requirements/train.txt")

Keys = tuple[str, ...]
Parsed = TypeVar("Parsed")


class ConfigError(ProjectError):
    """The experiment cannot be composed or read."""


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a row gets its role: by the hash of its key or content, of its group, or by time.

    `holdout` is the share of hash values that fall to the holdout; `cutoff` (ISO 8601) is the
    first moment of the holdout. `salt` names the split: another salt draws another holdout.
    `columns` are those whose values decide by hash, whatever else the contract gains or loses: by
    default the id columns, or all but the target. `calibration` is the share of the other rows that
    no model is fitted on where the contract promises intervals, which they are measured by.
    `holdout_days` is the rule by which a refresh moves the cut-off: so many days before the newest
    row. Without it nothing moves.
    """

    method: Literal["hash", "group", "time"]
    salt: str = "holdout"
    holdout: float = 0.2
    cutoff: str | None = None
    columns: list[str] = []
    calibration: float = 0.2
    holdout_days: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.calibration < 1:
            raise ValueError("`calibration` is a share between 0 and 1")
        if self.holdout_days is not None and (self.method != "time" or self.holdout_days < 1):
            raise ValueError("`holdout_days` is 1 or more, and belongs to method time")
        if self.columns and self.method != "hash":
            raise ValueError("`columns` belongs to method hash")
        if not 0 < self.holdout < 1:
            raise ValueError("`holdout` is a share between 0 and 1")
        if (self.method == "time") != (self.cutoff is not None):
            raise ValueError("`cutoff` belongs to method time, which needs it")


class Derived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature computed from columns by a named function, with `arguments` by name."""

    function: str
    columns: list[str]
    owner: str
    description: str = ""
    arguments: dict[str, Any] = {}


class Cleaned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a function of src/project/cleaning.py makes of a column, with `arguments` by name."""

    function: str
    arguments: dict[str, Any] = {}


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What enters the matrix: the contract's feature columns but `exclude`, then `derived`.

    `cleaned` says what is done to a column before. `views` are the feature views whose values are
    columns of the contract.
    """

    exclude: list[str] = []
    derived: dict[str, Derived] = {}
    cleaned: dict[str, Cleaned] = {}
    views: dict[str, View] = {}


class SearchRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values that tuning may try for one hyperparameter: a range or a list of choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: list[Any] | None = None

    def __post_init__(self) -> None:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give either `low` and `high`, or `choices`")


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scikit-learn estimator: its import path, its parameters, and how the matrix reaches it.

    `inputs` is `codes` (the encoded matrix as it is), `categories` (the same, and the estimator is
    told which columns hold codes of categories), `imputed` (missing values replaced by the median)
    or `onehot` (categories as indicators, numbers imputed and scaled). `monotonic` says of a
    feature that predictions may only rise (1) or fall (-1) with it, `interaction_constraints` which
    features may act together: those of one list, and all that no list names. `lock` is the file of
    requirements/ that pins what the estimator needs beyond train.txt, by name and digest.
    `target_encoded` names the categories that the estimator gets as their target encoding, whatever
    `inputs` says; `auto` are those that declare at least `high_cardinality` labels.
    """

    target: str
    inputs: Literal["codes", "categories", "imputed", "onehot"]
    tasks: list[Task]
    parameters: dict[str, Any]
    search: dict[str, SearchRange] = {}
    monotonic: dict[str, Literal[-1, 1]] = {}
    interaction_constraints: list[list[str]] = []
    lock: str = ""
    target_encoded: Literal["auto", "none"] | list[str] = "none"
    high_cardinality: int = 50

    @property
    def locks(self) -> tuple[Path, ...]:
        """The files that pin what training uses, with this estimator."""
        own = self.lock.partition("@")[0]
        return (LOCK, LOCK.with_stem(own)) if own else (LOCK,)

    @classmethod
    def parse(cls, section: dict[str, Any]) -> Self:
        """Return the flat section of resolved.yaml as a model."""
        return msgspec.convert(cls.parted(section), cls)

    @staticmethod
    def parted(section: dict[str, Any]) -> dict[str, Any]:
        """Split the flat section of resolved.yaml into what is ours and what is the estimator's."""
        ours = (
            "_target_",
            "inputs",
            "tasks",
            "search",
            "monotonic",
            "interaction_constraints",
            "lock",
            "target_encoded",
            "high_cardinality",
        )
        parameters = {key: value for key, value in section.items() if key not in ours}
        known = {key.strip("_"): section[key] for key in ours if key in section}
        return {**known, "parameters": parameters}


class EarlyStopping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When boosting ends: after so many `rounds` without gain on held-out `folds`; 0 is never."""

    rounds: int = 0
    folds: int = 5

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.folds < 2:
            raise ValueError("`rounds` is 0 for none or more, `folds` 2 or more")


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the estimator is fitted and compiled.

    `folds` cross-validates on the training rows (0: not at all). `runtime` `auto` takes ONNX
    where the estimator converts and agrees with scikit-learn on the holdout, and skops
    otherwise; `onnx` fails instead. They agree within `tolerance`, the largest difference of a
    prediction, relative above 1. `transform` is what a regression is fitted to in place of the
    target; predictions are transformed back.
    """

    class_weight: Literal["none", "balanced"] = "none"
    calibration: Literal["none", "sigmoid", "isotonic"] = "none"
    folds: int = 0
    threads: int = 1
    runtime: Literal["auto", "onnx", "skops"] = "auto"
    tolerance: float = 1e-5
    transform: Literal["none", "log", "log1p", "sqrt"] = "none"
    early_stopping: EarlyStopping = EarlyStopping()

    def __post_init__(self) -> None:
        if self.folds == 1 or self.folds < 0:
            raise ValueError("`folds` is 0 for none, or 2 or more")
        if self.threads < 1:
            raise ValueError("`threads` must be 1 or more")


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hyperparameter search: at most `trials`, ended after `patience` without improvement.

    `batch` of them are asked at a time, of which `workers` are evaluated at once; `prune` ends one
    that is worse than most of earlier batches after some of the `folds`.
    """

    method: Literal["none", "optuna"] = "none"
    trials: int = 50
    patience: int = 15
    folds: int = 3
    workers: int = 2
    batch: int = 5
    prune: bool = True

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError("`folds` must be 2 or more")
        if min(self.trials, self.patience, self.workers, self.batch) < 1:
            raise ValueError("`trials`, `patience`, `workers` and `batch` must be 1 or more")


class Slices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which parts of the holdout get metrics of their own.

    Boolean and category columns with at most `max_categories` labels are sliced, be they
    feature, group or sensitive; only slices of at least `min_rows` rows are judged.
    """

    min_rows: int = 50
    max_categories: int = 12

    def __post_init__(self) -> None:
        if self.min_rows < 1:
            raise ValueError("`min_rows` must be 1 or more")


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured on the holdout.

    `primary` is the metric that tuning optimises and reports lead with; intervals hold
    `confidence` of the bootstrap distribution of `resamples` draws. Permutation importance
    shuffles each feature `importance_repeats` times on at most `importance_rows` rows.
    `threshold` is the probability above which the last of two labels is the decision; with a
    `value` table, a bundle has the one that is worth most by it in its place.
    """

    primary: str
    metrics: list[str]
    threshold: float = 0.5
    value: Value | None = None
    resamples: int = 500
    confidence: float = 0.95
    importance_rows: int = 1000
    importance_repeats: int = 3
    slices: Slices = Slices()

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError("`confidence` is a share between 0 and 1")
        # 1 decides for nobody: where a value table says so, and as nobody's own choice.
        if not 0 <= self.threshold <= 1 or (self.threshold == 1 and self.value is None):
            raise ValueError("`threshold` is a probability from 0 to below 1")
        if min(self.resamples, self.importance_rows, self.importance_repeats) < 1:
            raise ValueError(
                "`resamples`, `importance_rows` and `importance_repeats` must be 1 or more"
            )

    @property
    def measured(self) -> tuple[str, ...]:
        """Every metric once, the primary one first."""
        return tuple(dict.fromkeys([self.primary, *self.metrics]))


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy of this branch: rules by name, each a mapping of its settings.

    `resamples`, `seed` and `confidence` are those of every bootstrap interval; a bundle that has
    no answer after `answer_seconds` is ended. What judges is the policy of the base, never this
    one; the gate shows where they differ.
    """

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95
    answer_seconds: float = 300.0
    rules: dict[str, dict[str, Any]] = {}

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise ValueError("`confidence` is a share from 0.5 to below 1")
        if self.resamples < 100:
            raise ValueError("`resamples` must be 100 or more")
        if not 0 < self.answer_seconds < float("inf"):
            raise ValueError("`answer_seconds` must be more than 0, and finite")
        if self.seed < 0:
            raise ValueError("`seed` cannot be negative")


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a retrained candidate is proposed, and how it is made.

    `because` are the kinds of alerts that ask for one, `cooldown_days` what has to lie between two,
    whatever became of the first. `tuning` is a choice of conf/tuning; by default, the experiment's.
    """

    because: tuple[Literal["performance", "drift", "estimate"], ...] = ("performance",)
    cooldown_days: int = 14
    tuning: str | None = None

    def __post_init__(self) -> None:
        if self.cooldown_days < 0:
            raise ValueError("`cooldown_days` cannot be negative")


class Monitoring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy of a monitor: rules by name, each a mapping of its settings.

    `alpha` is the chance of a false alert or note on one day, over all rules and columns. An
    outcome is judged `maturity_days` after its answer, when late ones have come in; `silence` is
    the outcome of a row of which nothing was heard until then (none: it is left out). Windows of
    fewer than `min_rows` rows are not judged. A season of a year before is what a window is
    compared with where the reference has `season_rows` of it.
    """

    alpha: float = 0.005
    maturity_days: int = 30
    silence: str | bool | int | float | None = None
    min_rows: int = 100
    season_rows: int = 500
    refresh: Refresh = Refresh()
    rules: dict[str, dict[str, Any]] = {}

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise ValueError("`alpha` is a chance above 0, up to 0.5")
        if self.maturity_days < 0:
            raise ValueError("`maturity_days` cannot be negative")
        if min(self.min_rows, self.season_rows) < 2:
            raise ValueError("`min_rows` and `season_rows` must be 2 or more")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that resolved.yaml says; `digests` are for DVC alone.

    `gate` and `monitoring`, the policy, are never in it.
    """

    seed: int
    data: Contract
    split: Split
    features: Features
    model: Model
    training: Training
    tuning: Tuning
    evaluation: Evaluation
    gate: Gate = Gate()  # bundles from before the gate have none
    monitoring: Monitoring = Monitoring()
    digests: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError("`seed` cannot be negative")

    @classmethod
    def parse(
        cls,
        resolved: dict[str, Any],
        place: Callable[[Keys], object] = lambda _: RESOLVED,
    ) -> Self:
        """Return typed settings.

        `place` names the file in which a key was written. Raises ConfigError, naming file, key and
        value, where a value has the wrong type or contradicts another.
        """
        sections = dict(resolved)
        sections["data"] = _converted(sections.get("data"), Contract, ("data",), place)
        sections["model"] = _converted(
            Model.parted(sections.get("model", {})), Model, ("model",), place
        )
        return _converted(sections, cls, (), place)


def _converted(
    content: Any, kind: type[Parsed], below: Keys, place: Callable[[Keys], object]
) -> Parsed:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        from ..refusal import refusal  # what it says makes no other model: no stage depends on it

        refused = refusal(error, content, kind, below)
        raise ConfigError(f"{place(refused.keys)}: {refused.said}") from error


def load(path: Path = RESOLVED) -> Settings:
    """Read the settings of this experiment from resolved.yaml."""
    try:
        resolved = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is missing: run `dvc repro resolve` in the project's root folder"
        ) from error
    if not isinstance(resolved, dict):
        raise ConfigError(f"{path} holds no settings: run `dvc repro resolve`")
    return Settings.parse(resolved)
