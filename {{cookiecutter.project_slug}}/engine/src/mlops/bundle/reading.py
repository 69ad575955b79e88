"""A bundle read: every digest verified, then parsed, ready to predict."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from ..config.settings import Settings
from ..contract import Contract
from ..features.encoding import Encoder
from ..files import LOADER, parse_yaml
from ..runtime import decision as deciding
from ..runtime import intervals as ranges
from ..runtime import model as runtime
from ..runtime import terms as sums
from ..runtime.decision import Decision
from ..runtime.expectation import Expected
from ..runtime.hooks import After
from ..runtime.intervals import Intervals
from ..runtime.terms import Terms
from . import contents
from .contents import Contents
from .manifest import BundleError

CANDIDATE = Path("candidate")
CONTRACT = "contract.json"
CONFIG = "resolved.yaml"
METRICS = "metrics.json"
SLICES = "slices.json"
PROFILE = "profile.json"
REFERENCE = "reference.json"
GOLDEN = "golden.json"
EDGES = "edges.json"
HOLDOUT = "holdout.npy"
CARD = "card.md"
# What parsing raises of a file that is none, or whose parts are not of the form that they have.
UNREAD = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError),
    yaml.YAMLError,
)


class Loaded(msgspec.Struct, frozen=True, dict=True):
    """A verified bundle, ready to predict.

    `files` are its other files as they were verified, by name; the model and the fingerprints of
    the holdout are not kept.
    """

    manifest: dict[str, Any]
    contract: Contract
    encoder: Encoder
    model: runtime.Model
    settings: Settings
    files: Mapping[str, bytes] = {}
    intervals: Intervals | None = None
    terms: Terms | None = None
    decision: Decision | None = None

    @cached_property
    def expected(self) -> Expected | None:
        """What decides by a value table where there are more than two labels."""
        return Expected.find(self.settings)

    @property
    def actions(self) -> tuple[str, ...]:
        """What is done with rows by the value table; nothing without one."""
        decided = self.decision or self.expected
        return decided.actions if decided is not None else ()

    def acted(self, predictions: np.ndarray) -> np.ndarray:
        """Return the number of each row's action; only of a bundle that has some."""
        if self.expected is not None:
            return self.expected.codes(predictions)
        return (predictions > self.settings.evaluation.threshold).astype(np.int64)

    def answer(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what is served for columns: the model's predictions, and what `after` makes of it.

        Raises HookError where `after` of src/project/serving.py fails.
        """
        predictions = self.model.predict(self.encoder.matrix(columns))
        if self.after is None:
            return predictions
        return self.after({name: columns[name] for name in self.encoder.inputs}, predictions)

    @cached_property
    def after(self) -> After | None:
        """The project's `after`; looked for when something is first answered, and not before.

        Who only reads a bundle runs no code of the project.
        """
        return After.find(self.contract)


def load(folder: Path, threads: int = 1, encoder: Encoder | None = None) -> Loaded:
    """Verify every digest of a bundle, then parse what was verified.

    `encoder` stands in for that of the bundle's settings, where other code computes the features.
    """
    return parsed(contents.read(folder), threads, encoder)


def parsed(content: Contents, threads: int = 1, encoder: Encoder | None = None) -> Loaded:
    """Return a bundle from its verified files; raises BundleError, ConfigError or ModelError."""
    contract, settings = declared(content)
    try:
        encoder = encoder or Encoder.build(contract, settings.features)
    except (ValueError, TypeError, LookupError) as error:
        raise _unread(error) from error
    model = runtime.parsed(content.files, threads)
    apart = (runtime.ONNX, runtime.SKOPS, HOLDOUT)
    files = {name: found for name, found in content.files.items() if name not in apart}
    try:
        around = ranges.parsed(files.get(ranges.INTERVALS), contract)
        terms = sums.parsed(files.get(sums.TERMS), contract, encoder.names, model.predict)
        decision = deciding.parsed(files.get(deciding.DECISION), settings)
    except (ranges.IntervalError, sums.TermsError, deciding.DecisionError) as error:
        raise BundleError(str(error)) from error
    known = (content.manifest, contract, encoder, model, settings, files)
    return Loaded(*known, around, terms, decision)


def declared(content: Contents) -> tuple[Contract, Settings]:
    """Return contract and settings of a verified bundle; raises BundleError or ConfigError.

    Where a value table decides, the settings have the threshold that was chosen by it.
    """
    for name in (CONTRACT, CONFIG):
        if name not in content.files:
            raise BundleError(f"the bundle has no {name}: rebuild it with `dvc repro`")
    try:
        contract = msgspec.json.decode(content.files[CONTRACT], type=Contract)
        settings = Settings.parse(plain_yaml(content.files[CONFIG]))
        decision = deciding.parsed(content.files.get(deciding.DECISION), settings)
    except deciding.DecisionError as error:
        raise BundleError(str(error)) from error
    except UNREAD as error:
        raise _unread(error) from error
    return contract, deciding.decided(settings, decision)


def plain_yaml(text: bytes) -> Any:
    """Parse YAML without aliases: what writes a bundle writes none."""
    if b"*" in text and any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, LOADER)):
        raise ValueError(f"{CONFIG} holds aliases")
    return parse_yaml(text)


def _unread(error: BaseException) -> BundleError:
    reason = " ".join(str(error).split())
    return BundleError(
        f"{CONTRACT} or {CONFIG} of the bundle cannot be read ({reason}): rebuild it with "
        "`dvc repro`"
    )
