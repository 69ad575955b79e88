"""Whether what conf/ says in one file fits what it says in another."""

from collections.abc import Mapping

from ..config.settings import ConfigError, Settings
from ..data.splitting import keys, moved
from .encoding import INDIRECT, Encoder, FeatureError


def check(settings: Settings, used: Mapping[str, str]) -> None:
    """Raise FeatureError, SplitError or ConfigError where a part names what the data lack.

    `used` is the choice of each part, whose file the error names.
    """
    try:
        encoder = Encoder.build(settings.data, settings.features)
    except FeatureError as error:
        raise FeatureError(f"conf/features/{used['features']}.yaml: {error}") from error
    if unknown := [name for name in settings.model.monotonic if name not in encoder.features]:
        raise FeatureError(
            f"model.monotonic names {', '.join(unknown)}, no feature of conf/features/"
            f"{used['features']}.yaml and conf/data/{used['data']}.yaml: take it out, or choose "
            f"from {', '.join(encoder.features)}"
        )
    keys(settings.data, settings.split)
    if settings.evaluation.value is not None:
        try:
            settings.evaluation.value.check(settings.data, settings.training.folds)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def unread(settings: Settings) -> str | None:
    """Say which datetimes and texts are features that the model never sees."""
    contract, features = settings.data, settings.features
    read = {column for one in features.derived.values() for column in one.columns}
    left = [
        name
        for name in contract.names("feature")
        if contract.columns[name].type in INDIRECT and name not in {*read, *features.exclude}
    ]
    return (
        f"features: nothing reads {', '.join(left)}: a datetime or text enters the model by what "
        "conf/features derives from it, like day_of_week, elapsed_days or text_ngrams"
        if left
        else None
    )


def changed_sides(before: Settings | None, now: Settings) -> str | None:
    """Say that rows change sides, and why, where settings draw another holdout than before."""
    if before is None or before.data.name != now.data.name:
        return None
    said = moved((before.data, before.split), (now.data, now.split))
    return said and (
        f"split: rows change sides ({said}): figures do not compare with those before; to keep the "
        "holdout, name in split.columns what decided before"
    )
