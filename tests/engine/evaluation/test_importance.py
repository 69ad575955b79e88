import numpy as np

from mlops.evaluation.importance import importances


def model(matrix: np.ndarray) -> np.ndarray:
    return (3 * matrix[:, 1] + matrix[:, 0]).astype(np.float64)


def asked(metric: str = "rmse", rows: int = 300, seed: int = 0) -> list:
    matrix = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    names = ("some", "most", "none")
    return importances(model, matrix, model(matrix), names, "regression", metric, rows, 2, seed)


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
    importances(predict, matrix, np.arange(500.0), ("a", "b", "c"), "regression", "mae", 40, 2, 0)
    assert seen == [40] * 7
