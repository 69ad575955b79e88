"""The predictor of a real bundle."""

from pathlib import Path

import pytest

from mlops.serving import loading
from mlops.serving.predictor import Predictor


@pytest.fixture(scope="session")
def predictor(trained: Path) -> Predictor:
    """A predictor of the sample data's bundle."""
    return loading.load(trained / "candidate")
