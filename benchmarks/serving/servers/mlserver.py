"""MLServer with its scikit-learn runtime, on the same pipeline: python mlserver.py PORT."""

import json
import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    settings = {
        "host": "127.0.0.1",
        "http_port": int(sys.argv[1]),
        "grpc_port": int(sys.argv[1]) + 1,
        "metrics_port": int(sys.argv[1]) + 2,
        "parallel_workers": 0,  # the model is in the process that answers: one core
        "debug": False,
        "logging_settings": None,
    }
    model = {
        "name": "boosting",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": os.environ["MODEL"], "extra": {"predict_fn": "predict_proba"}},
        "max_batch_size": 64,
        "max_batch_time": 0.001,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", str(folder)])
