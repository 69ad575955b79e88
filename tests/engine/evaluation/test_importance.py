import numpy as np

from mlops.evaluation.importance import importances


def model(matrix: np.ndarray) -> np.ndarray:
    return (3 * matrix[:, 1] + matrix[:, 0]).astype(np.float64)


def asked(metric: str = "rmse", rows: int = 300, seed: int = 0) -> list:
    matrix = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    features = {"some": [0], "most": [1], "none": [2]}
    return importances(model, matrix, model(matrix), features, "regression", metric, rows, 2, seed)


def test_features_are_ordered_by_what_the_model_loses_without_them() -> None:
    for metric in ("rmse", "r2"):
        found = asked(metric)
        assert [one.feature for one in found] == ["most", "some", "none"]
        assert found[0].drop > found[1].drop > found[2].drop == 0


def test_the_seed_decides() -> None:
    assert asked() == asked()
    assert asked() != asked(seed=1)


def test_only_so_many_rows_are_looked_at() -> None:
    seen = []

    def predict(matrix: np.ndarray) -> np.ndarray:
        seen.append(len(matrix))
        return model(matrix)

    matrix = np.zeros((500, 3), dtype=np.float32)
    features = {"a": [0], "b": [1], "c": [2]}
    importances(predict, matrix, np.arange(500.0), features, "regression", "mae", 40, 2, 0)
    assert seen == [40] * 7


def test_the_columns_of_one_feature_are_shuffled_together() -> None:
    """Apart they would stand for rows that no table has: here both or none are 1."""
    seen = []

    def predict(matrix: np.ndarray) -> np.ndarray:
        seen.append(bool((matrix[:, 0] == matrix[:, 1]).all()))
        return matrix[:, 0].astype(np.float64)

    both = np.random.default_rng(0).integers(0, 2, 200).astype(np.float32)
    matrix = np.column_stack([both, both, np.arange(200, dtype=np.float32)])
    features = {"both": range(2), "row": range(2, 3)}
    found = importances(predict, matrix, both, features, "regression", "rmse", 200, 3, 0)
    assert [one.feature for one in found] == ["both", "row"]
    assert found[0].drop > 0.5
    assert all(seen)
