"""The train stage: prepared rows -> model/, fitted on the training rows alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .. import owner
from ..compute.backend import backend
from ..compute.local import limited
from ..config.settings import Settings
from ..data import prepared
from ..data.hashing import folds
from ..errors import ProjectError
from ..features.encoding import Encoder
from ..files import atomic_directory
from ..git import dvc
from ..metrics.catalogue import OWN, compute, known, own
from ..runtime.decision import HELD_OUT
from ..runtime.model import ABOUT, Predict, estimator
from ..runtime.target_encoding import FOLDS
from . import estimators, terms
from .compilation import compile_model
from .layout import layout
from .stopping import Rows, Stopped, stop

DATA, MODEL = Path("data/prepared"), Path("model")
STUDIES = Path(".mlops/studies.db")
CALIBRATION_FOLDS = 5
# Metrics that ask for probabilities alone, whatever evaluation.threshold makes of them.
RANKING = ("roc_auc", "average_precision", "log_loss", "brier", "ece")
LOSSES = ("loss", "objective", "loss_function")  # as libraries call what is minimised
LEVELS = ("quantile", "alpha", "quantile_alpha")  # and which quantile that is

Fold = tuple[np.ndarray, np.ndarray]


class TrainingError(ProjectError):
    """The training rows cannot be fitted."""


def train(settings: Settings, data: Path = DATA, out: Path = MODEL) -> str:
    """Fit the configured model and write it to `out`; return a line that describes it."""
    fit = Fitting(settings, data)
    chosen, search = fit.tuned()
    about: dict[str, Any] = {"task": settings.data.task, "parameters": chosen, "search": search}
    held_out: np.ndarray | None = None
    if settings.training.folds:
        held_out = fit.held_out(chosen)
        about["cross_validation"] = fit.validated(held_out)
    fitted, stopped = fit.fitted(chosen)
    if stopped is not None:
        about["early_stopping"] = stopped.told()
    holdout = fit.matrix("holdout")
    hidden = fit.encoder.private(settings.data)
    with atomic_directory(out) as folder:
        compiled = compile_model(
            fitted,
            settings.data.task,
            holdout,
            folder,
            runtime=settings.training.runtime,
            tolerance=settings.training.tolerance,
        )
        terms.write(fitted, settings.data.task, fit.encoder.names, folder)
        about |= {
            "runtime": compiled.runtime,
            "reason": compiled.reason,
            "parity": {
                "rows": len(holdout),
                "difference": compiled.difference,
                "tolerance": settings.training.tolerance,
            },
            "estimator": settings.model.target,
            "features": list(fit.encoder.names),
            "thresholds": {
                name: compiled.thresholds[at]
                for at, name in enumerate(fit.encoder.names)
                if at in compiled.thresholds and name not in hidden
            },
            "rows": len(fit.target),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        if held_out is not None and settings.data.task == "binary":
            np.save(folder / HELD_OUT, held_out)
    why = f" since {compiled.reason}" if compiled.reason else ""
    why += _elsewhere(settings, estimators.device(fitted))
    return f"{settings.model.target} on {len(fit.target):,} rows runs in {compiled.runtime}{why}"


def _elsewhere(settings: Settings, fitted_on: str | None) -> str:
    """Say that a model was not fitted on the device that was asked for, where it was not."""
    asked = str(settings.model.parameters.get("device") or "cpu")
    if fitted_on != "cpu" or asked == "cpu":
        return ""
    return (
        f"; fitted on the CPU, since no GPU was found for device {asked}: run it where "
        "`nvidia-smi` shows one, or set model.device to cpu"
    )


class Fitting:
    """The training rows of one experiment, and the fits that are made on them."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self._settings = settings
        self._data = data
        self.encoder = Encoder.build(settings.data, settings.features)
        self._train = self.matrix("train")
        columns = prepared.read(data / "train", settings.data, [settings.data.target])
        self.target = prepared.target(columns, settings.data)
        self._weights = self._read_weights()
        self._hashes = prepared.row_hashes(data / "train")
        self.apart = self._encoding_folds()
        self._check_classes()
        self._check_transform()

    def matrix(self, role: str) -> np.ndarray:
        """Return the encoded float32 matrix of the `train` or `holdout` rows."""
        encoder = self.encoder
        path = self._data / role
        contract = self._settings.data
        return prepared.matrix(path, contract, encoder.inputs, encoder.matrix, len(encoder.names))

    def fitted(
        self, changes: Mapping[str, Any], fold: Fold | None = None
    ) -> tuple[Any, Stopped | None]:
        """Fit on all training rows, or on those of a fold; say where boosting was stopped early."""
        chosen = slice(None) if fold is None else fold[0]
        settings = self._settings
        weights = None if self._weights is None else self._weights[chosen]
        apart = None if self.apart is None else self.apart[chosen]
        rows = Rows(self._train[chosen], self.target[chosen], weights, apart)
        hashes = self._hashes[chosen]
        inner: tuple[Fold, ...] = ()
        if settings.training.calibration != "none":
            inner = tuple(_by_hash(hashes, CALIBRATION_FOLDS, "calibration"))
        classes = max(2, len(settings.data.labels))
        told: tuple[int, ...] = ()
        if settings.model.inputs == "categories":
            told = layout(settings.model, self.encoder, classes).categorical
        stopping, stopped = settings.training.early_stopping, None
        model = estimators.build(
            settings.model,
            settings.training,
            settings.data.task,
            self.encoder,
            settings.seed,
            inner,
            changes,
            classes,
        )
        try:
            with limited(settings.training.threads):
                if stopping.rounds:
                    held = tuple(_by_hash(hashes, stopping.folds, "early stopping"))
                    stopped = stop(model, rows, held, stopping.rounds, told)
                return estimators.fit(model, *rows[:3], told, rows.apart, hashes), stopped
        except ValueError as error:
            raise TrainingError(
                f"{settings.model.target} cannot be fitted: {' '.join(str(error).split())}"
            ) from error

    def tuned(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the parameters that the search found, and what it did; none without a search."""
        settings = self._settings
        if settings.tuning.method == "none":
            return {}, None
        from .tuning import tune

        primary = settings.evaluation.primary
        self._check_primary(primary)
        # The last of a split by time first: its model is the most like the one of all rows.
        splits = list(self.folds(settings.tuning.folds))[::-1]
        question = self._question(splits)

        def scored(asked: tuple[Mapping[str, Any], int]) -> float:
            changes, fold = asked
            return float(self._score(changes, splits[fold], [primary])[primary])

        with backend() as pool, pool.sent(scored, settings.training.threads) as score:
            found = tune(
                settings.model.search,
                lambda changes, fold: score((changes, fold)),
                settings.tuning,
                direction="maximize" if known()[primary].greater_is_better else "minimize",
                seed=settings.seed,
                storage=dvc.home() / STUDIES,
                name=question,
                first=settings.model.parameters,
                workers=pool.workers(settings.tuning.workers),
            )
        return dict(found.parameters), {
            "trials": len(found.trials),
            "pruned": found.pruned,
            primary: found.value,
            "folds": settings.tuning.folds,
        }

    def cross_validated(self, changes: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """Return mean and standard deviation over the folds of each metric."""
        return self.validated(self.held_out(changes))

    def held_out(self, changes: Mapping[str, Any]) -> np.ndarray:
        """Return the prediction of each row by the fit that has not seen it.

        NaN where no fold tests a row, as the first ones of a split by time.
        """
        splits = list(self.folds(self._settings.training.folds))

        def answered(fold: int) -> np.ndarray:
            fitted = self.fitted(changes, splits[fold])[0]
            predict: Predict = estimator(fitted, self._settings.data.task)
            return predict(self._train[splits[fold][1]])

        with backend() as pool:
            workers, threads = self._settings.tuning.workers, self._settings.training.threads
            answers = list(pool.map(answered, range(len(splits)), at_once=workers, threads=threads))
        held_out = np.full((len(self.target), *answers[0].shape[1:]), np.nan)
        for (_, test), answer in zip(splits, answers, strict=True):
            held_out[test] = answer
        return held_out

    def validated(self, held_out: np.ndarray) -> dict[str, dict[str, float]]:
        """Return the metrics of such predictions: mean and standard deviation over the folds."""
        asked, task = self._settings.evaluation, self._settings.data.task
        scores = [
            compute(
                *(task, asked.metrics, self.target[test], held_out[test]),
                threshold=asked.threshold,
            )
            for _, test in self.folds(self._settings.training.folds)
        ]
        return {
            name: {"mean": float(np.mean(values)), "std": float(np.std(values))}
            for name in asked.metrics
            for values in ([one[name] for one in scores],)
        }

    def _score(
        self, changes: Mapping[str, Any], fold: Fold, names: Sequence[str]
    ) -> dict[str, float]:
        return self.measured(self.fitted(changes, fold)[0], fold, names)

    def measured(self, fitted: Any, fold: Fold, names: Sequence[str]) -> dict[str, float]:
        """Return metrics of a fitted estimator on the rows that test it."""
        task = self._settings.data.task
        predict: Predict = estimator(fitted, task)
        answers, threshold = predict(self._train[fold[1]]), self._settings.evaluation.threshold
        return compute(task, names, self.target[fold[1]], answers, threshold=threshold)

    def folds(self, count: int) -> Iterator[Fold]:
        """Yield (training, test) rows: later rows test earlier ones where the split is by time."""
        path = self._data / "train"
        contract, split = self._settings.data, self._settings.split
        if split.method == "time" and contract.time is not None:
            moments = prepared.read(path, contract, [contract.time])[contract.time]
            blocks = np.array_split(np.argsort(moments, kind="stable"), count + 1)
            for last in range(1, count + 1):
                yield np.concatenate(blocks[:last]), blocks[last]
        else:
            yield from _by_hash(self._hashes, count)

    def _check_classes(self) -> None:
        labels = self._settings.data.labels
        present = np.bincount(self.target, minlength=len(labels)) if labels else np.ones(1)
        if absent := [label for label, n in zip(labels, present, strict=False) if not n]:
            raise TrainingError(
                f"no training row has {self._settings.data.target} = {', '.join(absent)}: give "
                "more rows, take the label out of the contract, or change split.salt"
            )

    def _read_weights(self) -> np.ndarray | None:
        name = self._settings.data.weight
        if name is None:
            return None
        weights = prepared.read(self._data / "train", self._settings.data, [name])[name]
        if not weights.any():
            raise TrainingError(f"every training row has {name} = 0: give some rows a weight")
        return weights

    def _check_primary(self, primary: str) -> None:
        """Refuse to search for a quantile by what the mean is best at."""
        asked = self._settings.model.parameters
        losses = [str(asked.get(name, "")).lower() for name in LOSSES]
        if primary in own() or (primary == "mae" and 0.5 in (asked.get(n) for n in LEVELS)):
            return
        if any("quantile" in loss for loss in losses):
            raise TrainingError(
                f"evaluation.primary is {primary}, by which a search would move the quantile to "
                "the mean: write the pinball loss into src/policy/metrics.py, as "
                "engine/docs/models.md has it, and make it the primary metric"
            )

    def _encoding_folds(self) -> np.ndarray | None:
        """Return the folds across which categories are encoded; None where none of them is."""
        settings = self._settings
        if not layout(settings.model, self.encoder, 2).encoded:
            return None
        return folds(self._hashes, FOLDS, "target encoding")

    def _check_transform(self) -> None:
        transform = self._settings.training.transform
        least = {"none": -np.inf, "log": np.nextafter(0, 1), "log1p": np.nextafter(-1, 0)}
        if transform != "none" and self._settings.data.task == "regression":
            low = float(self.target.min())
            if low < least.get(transform, 0.0):
                raise TrainingError(
                    f"training.transform is {transform}, and {self._settings.data.target} goes "
                    f"down to {low:g}, which has none: choose another transform"
                )

    def _question(self, splits: Sequence[Fold]) -> str:
        """Name the study by all that a score depends on, so that another starts another study."""
        settings, encoder = self._settings, self.encoder
        primary, task = settings.evaluation.primary, settings.data.task
        asked: list[Any] = [settings.model, settings.training, settings.seed, task, primary]
        asked += [encoder.names, encoder.categorical, _versions(settings.model.target)]
        if task == "binary" and primary not in RANKING:
            asked.append(settings.evaluation.threshold)
        if primary in own():
            asked.append(_source(OWN))
        if settings.model.target.startswith(f"{estimators.OWN}."):
            asked.append(_source(estimators.OWN))
        digest = hashlib.sha256(msgspec.json.encode(asked))
        weights = () if self._weights is None else (self._weights,)
        tests = (test for _, test in splits)
        for array in (self._train, self.target, self._hashes, *weights, *tests):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def _versions(target: str) -> list[str]:
    """Return the version of each library that fits an estimator of that class."""
    names = dict.fromkeys(("sklearn", target.partition(".")[0]))
    return [str(getattr(import_module(name), "__version__", "")) for name in names]


def _source(name: str) -> str:
    """Return the text of the owner's module of that name, or nothing where there is none."""
    file = getattr(owner.module(name), "__file__", None)
    return Path(file).read_text(encoding="utf-8") if file else ""


def _by_hash(hashes: np.ndarray, count: int, salt: str = "fold") -> Iterator[Fold]:
    """Yield (training, test) row indices by the rows' hashes, so a key stays in one fold.

    Folds within a fold need another `salt`: of as many by the same, one would be empty.
    """
    assigned = folds(hashes, count, salt)
    for fold in range(count):
        yield np.flatnonzero(assigned != fold), np.flatnonzero(assigned == fold)
