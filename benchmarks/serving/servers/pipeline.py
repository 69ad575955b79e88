"""The comparison's model: scikit-learn's boosting behind a pipeline, as tutorials build it."""

import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

ROWS = 20_000


def fitted(table: Path) -> tuple[Pipeline, pd.DataFrame]:
    """Return the pipeline fitted on a table whose target is `y`, and its features."""
    frame = pd.read_csv(table, nrows=ROWS)
    features = frame.drop(columns=["id", "y"])
    texts = [name for name in features if not pd.api.types.is_numeric_dtype(features[name])]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encode = make_column_transformer((codes, texts), remainder="passthrough")
    model = HistGradientBoostingClassifier(max_iter=200, random_state=0)
    return make_pipeline(encode, model).fit(features, frame["y"]), features


if __name__ == "__main__":
    model, features = fitted(Path(sys.argv[2]))
    if sys.argv[1] == "mlflow":
        import mlflow.sklearn
        from mlflow.models import infer_signature

        mlflow.sklearn.save_model(
            model,
            sys.argv[3],
            serialization_format="cloudpickle",
            signature=infer_signature(features),  # so that it checks rows, as this project does
        )
    else:
        import joblib

        joblib.dump(model, sys.argv[3])
