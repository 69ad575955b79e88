"""Estimators of this project: conf/model names one as `_target_: project.estimators.NAME`.

A class follows scikit-learn's interface (BaseEstimator; fit, and predict_proba for classes or
predict for a number) and takes the float32 matrix. Classes of any package in
requirements/train.txt need nothing here: conf/model names them by their path.

What ONNX cannot express is stored by skops, which loads only types that are known. Those that this
file defines are; others that a model holds, like a loss of another package, are named below.
"""

TRUSTED: tuple[str, ...] = ()
