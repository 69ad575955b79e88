"""Repositories and champions that are not what they say are not judged, or rejected."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from parts import first_part, put
from sweeps import some

HOLDOUT = "data/prepared/holdout"
POINTER = "deploy/production/champion.dvc"
CHAMPION = "deploy/production/champion"
Harm = Callable[[Any], None]


def code_changed(bench: Any) -> None:
    append(bench.root / "engine/src/mlops/contract.py")
    bench.project.commit()


def config_changed(bench: Any) -> None:
    append(bench.root / "resolved.yaml")
    bench.project.commit()


def parameters_changed(bench: Any) -> None:
    bench.replace("params.yaml", "max_iter: 60", "max_iter: 600")
    bench.project.commit()


def environment_changed(bench: Any) -> None:
    append(bench.root / "requirements/train.txt")
    bench.project.commit()


def raw_data_changed(bench: Any) -> None:
    bench.raw(lambda rows, _: rows.slice(1))
    bench.point()
    bench.project.commit()


def raw_data_unversioned(bench: Any) -> None:
    """Made from rows that no pointer in git names."""
    pointer = (bench.root / "data/raw.dvc").read_text()
    bench.raw(lambda rows, _: rows.slice(1))
    bench.remake()
    bench.write("data/raw.dvc", pointer)
    bench.project.commit()


def prepared_rows_changed(bench: Any) -> None:
    path = bench.root / "data/prepared/train"
    put(pq.read_table(path).slice(1), path)


def lock_of_another(bench: Any) -> None:
    shutil.copytree(bench.root / "candidate", bench.root / "kept")
    bench.edit(lambda _, content: content.update(name="other"))
    shutil.rmtree(bench.root / "candidate")
    (bench.root / "kept").rename(bench.root / "candidate")


def no_lock(bench: Any) -> None:
    (bench.root / "dvc.lock").unlink()


def uncommitted(bench: Any) -> None:
    bench.replace("params.yaml", "max_iter: 60", "max_iter: 61")
    bench.remake(prepare=False, commit=False)


def other_history(bench: Any) -> None:
    bench.project.git("checkout", "-q", "--orphan", "other")
    bench.project.commit()


def empty_holdout(bench: Any) -> None:
    rewrite(bench, lambda rows: rows.slice(0, 0))


def one_class_holdout(bench: Any) -> None:
    rewrite(bench, lambda rows: rows.filter(pc.invert(rows["churned"])))


def unlabelled_holdout(bench: Any) -> None:
    def unlabel(rows: pa.Table) -> pa.Table:
        known = pa.array(np.arange(len(rows)) > 0)
        labels = pc.if_else(known, rows["churned"], None)
        place = rows.schema.get_field_index("churned")
        return rows.set_column(place, rows.schema.field("churned").with_nullable(True), labels)

    rewrite(bench, unlabel)


def holdout_without_a_feature(bench: Any) -> None:
    rewrite(bench, lambda rows: rows.drop_columns(["plan"]))


def holdout_damaged(bench: Any) -> None:
    path = first_part(bench.root / HOLDOUT)
    path.write_bytes(path.read_bytes()[:-100])


def no_candidate(bench: Any) -> None:
    shutil.rmtree(bench.root / "candidate")


@pytest.mark.parametrize(
    ("harm", "entry", "said"),
    some(
        [
            (code_changed, "lineage code", "what it is computed with is"),
            (config_changed, "lineage config", "resolved.yaml is"),
            (parameters_changed, "lineage composition", "params.yaml"),
            (environment_changed, "lineage environment", "requirements/train.txt is"),
            (raw_data_changed, "lineage data", "are not those of the manifest"),
            (raw_data_unversioned, "lineage raw data", "is not what data/raw.dvc says"),
            (prepared_rows_changed, "lineage prepared rows", "dvc.lock says"),
            (lock_of_another, "lineage candidate", "dvc.lock says"),
            (no_lock, "lineage", "dvc.lock"),
            (uncommitted, "lineage tree", "uncommitted changes"),
            (other_history, "lineage commit", "no ancestor"),
            (empty_holdout, "candidate rows", "has no rows"),
            (one_class_holdout, "candidate rows", "no metric means anything"),
            (unlabelled_holdout, "candidate rows", "have no valid churned"),
            (holdout_without_a_feature, "candidate rows", "plan"),
            (holdout_damaged, "candidate rows", "Parquet"),
            (no_candidate, "exit 2", "is no bundle"),
        ],
        every=2,
    ),
)
def test_what_the_candidate_does_not_come_from_is_seen(
    bench: Any, harm: Harm, entry: str, said: str
) -> None:
    harm(bench)
    assert said in bench.outcome("start")[entry]


def champion_again(bench: Any) -> None:
    shutil.rmtree(bench.root / "candidate")
    shutil.copytree(bench.root / CHAMPION, bench.root / "candidate")
    bench.pin()


def equally_good(bench: Any) -> None:
    text = (bench.root / "conf/gate/standard.yaml").read_text()
    rule = "  superiority: {margins: {roc_auc: 0.0}, sides: two}\n"
    bench.write("conf/gate/standard.yaml", text + rule)
    bench.replace("params.yaml", "max_iter: 60", "max_iter: 16")
    bench.remake(prepare=False)


def champion_lost(bench: Any) -> None:
    shutil.rmtree(bench.root.parent / "storage")
    shutil.rmtree(bench.root / ".dvc/cache")


def champion_exchanged(bench: Any) -> None:
    """Whoever can write to the remote gives the champion another model."""
    model = (bench.root / CHAMPION / "model.onnx").read_bytes()
    shutil.rmtree(bench.root / ".dvc/cache")
    for path in (bench.root.parent / "storage").rglob("*"):
        if path.is_file() and path.read_bytes() == model:
            path.chmod(0o644)
            path.write_bytes((bench.root / "candidate/model.onnx").read_bytes())


def pointer_to_nothing(bench: Any) -> None:
    point_to(bench, "0" * 32 + ".dir")


def pointer_to_a_file(bench: Any) -> None:
    point_to(bench, "0" * 32)


def pointer_that_leaves(bench: Any) -> None:
    text = (bench.root / POINTER).read_text()
    bench.project.on_main((POINTER, text.replace("path: champion", "path: ../../src")))


def pointer_removed_on_the_branch(bench: Any) -> None:
    bench.replace("params.yaml", "max_iter: 60", "max_iter: 2")
    (bench.root / POINTER).unlink()
    bench.remake(prepare=False)


@pytest.mark.parametrize(
    ("harm", "entry", "said"),
    some(
        [
            (champion_again, "champion bundle", "nothing to promote"),
            (equally_good, "superiority roc_auc", "must be above 0"),
            (champion_lost, "exit 2", "cannot be fetched"),
            (champion_exchanged, "exit 2", "champion"),
            (pointer_to_nothing, "exit 2", "cannot be fetched"),
            (pointer_to_a_file, "exit 2", "does not declare the folder"),
            (pointer_that_leaves, "exit 2", "does not declare the folder"),
            (pointer_removed_on_the_branch, "non_inferiority roc_auc", "must be at least -0.02"),
        ],
        every=2,
    ),
)
def test_the_champion_is_that_of_the_base_and_whole(
    bench: Any, harm: Harm, entry: str, said: str
) -> None:
    harm(bench)
    assert said in bench.outcome()[entry]


def append(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("\n# changed\n")


def rewrite(bench: Any, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write the holdout anew, with a dvc.lock that agrees."""
    path = bench.root / HOLDOUT
    put(change(pq.read_table(path)), path)
    bench.pin()


def point_to(bench: Any, digest: str) -> None:
    text = f"outs:\n- md5: {digest}\n  hash: md5\n  path: champion\n"
    bench.project.on_main((POINTER, text))
