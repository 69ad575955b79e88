from typing import Any

import msgspec
import numpy as np
import pytest
from worlds import WORLDS, coverage

from mlops.config.settings import Split
from mlops.evaluation.measurement import measure
from mlops.evaluation.units import BLOCKS, FEW, blocks, combined, units

DAYS = np.datetime64("2025-01-01", "us") + np.arange(400) * np.timedelta64(1, "D")
LEAST = 0.85  # of 40 worlds; intervals by rows hold 30 to 75 % in these


@pytest.mark.parametrize("kind", ["groups", "recurring", "days", "few"])
def test_intervals_hold_what_they_say(kind: str) -> None:
    held = coverage(kind, 40, 40)
    assert sum(held.values()) / len(held) >= LEAST, held


def made(kind: str, size: int = 40) -> Any:
    return WORLDS[kind](np.random.default_rng(0), size)


def drawn(world: Any, **split: Any) -> Any:
    asked = msgspec.structs.replace(world.settings, split=Split(**split)) if split else None
    return units(asked or world.settings, world.columns)


def test_what_the_split_keeps_together_is_drawn_together() -> None:
    assert drawn(made("rows"))[1:3] == ((), "rows")
    assert drawn(made("groups"))[1:3] == ((40,), "groups of who")
    assert drawn(made("recurring"))[1:3] == ((80,), "values of who")
    assert drawn(made("days"))[1:3] == ((BLOCKS,), "blocks of when")
    assert drawn(made("months"))[1:3] == ((6,), "moments of when")
    assert drawn(made("panel"))[1:3] == ((10, 80), "moments of when")


def test_equal_rows_are_one_where_no_id_tells_them_apart() -> None:
    world = made("rows")
    alike = world._replace(roles={}, columns={**world.columns, "x": np.arange(800) // 2 + 0.0})
    assert drawn(alike)[1:3] == ((400,), "different rows")


def test_columns_that_the_split_names_decide_before_ids_that_never_recur() -> None:
    world = made("rows")
    shop = world.columns | {"x": np.arange(800) % 50 + 0.0}
    assert drawn(world._replace(columns=shop), method="hash", columns=["x"]).counts == (50,)


def test_of_ids_and_groups_the_fewest_units_count() -> None:
    world = made("recurring")
    one = world._replace(roles={"who": "id", "x": ["group", "feature"]})
    columns = world.columns | {"x": world.columns["who"] // 2}
    assert drawn(one._replace(columns=columns)).counts == (40,)


def test_ids_within_a_block_of_time_are_drawn_with_it() -> None:
    world = made("panel")
    apart = world.columns | {"who": np.arange(len(world.target))}
    once = drawn(world._replace(columns=apart))
    assert (once.counts, once.noun) == ((10,), "moments of when")


def test_blocks_of_time_hold_as_many_rows_and_no_moment_is_divided() -> None:
    moments = np.repeat(DAYS, np.random.default_rng(0).integers(1, 9, 400))
    found = blocks(np.random.default_rng(1).permutation(moments))
    assert len(np.unique(found)) == BLOCKS
    sizes = np.bincount(found)
    assert sizes.min() > 0.8 * len(moments) / BLOCKS
    assert sizes.max() < 1.2 * len(moments) / BLOCKS
    found = blocks(moments)
    assert (np.diff(found) >= 0).all()
    assert all(len(set(found[moments == day])) == 1 for day in DAYS)


def test_few_units_are_said_and_one_gives_no_interval() -> None:
    few = made("few")
    said = drawn(few).few
    assert said is not None
    assert (
        f"8 groups of who, few to tell others by: intervals are wider for it (Student's t); {FEW}"
        in said
    )
    assert drawn(made("groups")).few is None
    alone = few._replace(columns=few.columns | {"who": np.zeros(len(few.target))})
    found = drawn(alone)
    assert found.few is not None
    assert "there are no intervals; hold out 30 or more" in found.few
    asked = few.settings.evaluation
    measured = measure("binary", few.target, few.predictions, [], asked, 1, found)
    assert np.isnan(measured.overall["roc_auc"].low)
    assert np.isfinite(measured.overall["roc_auc"].value)


def test_of_time_no_more_is_asked_for_than_there_can_be() -> None:
    assert drawn(made("days")).few is None  # 20 blocks, which is what all longer times become
    said = drawn(made("months")).few
    assert said is not None
    assert "the 6 moments of when" in said
    assert f"{BLOCKS} or more would be enough" in said
    world = made("days")
    for count, told in ((BLOCKS - 1, True), (BLOCKS, False), (BLOCKS + 1, False)):  # the remedy
        when = DAYS[np.arange(len(world.target)) % count]
        assert (
            drawn(world._replace(columns=world.columns | {"when": when})).few is not None
        ) == told


def test_ids_that_are_fewer_than_blocks_of_time_are_named_as_what_they_are() -> None:
    world = made("panel")
    days = DAYS[np.arange(len(world.target)) % 400]
    rows = {"when": days, "who": np.arange(len(days)) * 7 % 25}
    found = drawn(world._replace(columns=world.columns | rows))
    assert (found.number, found.noun) == (25, "values of who")
    assert found.few is not None
    assert "the 25 values of who, few to tell others by" in found.few
    assert f"{FEW} or more would be enough" in found.few


def test_intervals_of_few_units_end_where_the_metric_does() -> None:
    few = made("few")
    two = few._replace(columns=few.columns | {"who": few.columns["who"] % 2})
    asked = few.settings.evaluation
    found = measure("binary", few.target, few.predictions, [], asked, 1, drawn(two)).overall
    assert (found["roc_auc"].low >= 0, found["roc_auc"].high <= 1) == (True, True)
    assert found["roc_auc"].high - found["roc_auc"].low > 0.1


def test_codes_of_combined_columns_tell_every_combination_apart() -> None:
    columns = [np.array(["a", None, "a", None]), np.array([1.0, 2.0, 1.0, np.nan])]
    codes = combined(columns)
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 3
