"""Whether what conf/ says in one file fits what it says in another."""

from collections.abc import Mapping

from ..config.settings import Settings
from ..data.splitting import keys, moved
from .encoding import Encoder, FeatureError


def check(settings: Settings, used: Mapping[str, str]) -> None:
    """Raise FeatureError or SplitError where features, model or split name what the data lack.

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


def changed_sides(before: Settings | None, now: Settings) -> str | None:
    """Say that rows change sides, and why, where settings draw another holdout than before."""
    if before is None or before.data.name != now.data.name:
        return None
    said = moved((before.data, before.split), (now.data, now.split))
    return said and (
        f"split: rows change sides ({said}): figures do not compare with those before; to keep the "
        "holdout, name in split.columns what decided before"
    )
