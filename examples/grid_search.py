"""scikit-learn chooses: a grid search over hidden units and learning rates, in a pipeline."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graphc.layers.estimator import GraphClassifier

X, Y = load_iris(return_X_y=True)
pipeline = make_pipeline(StandardScaler(), GraphClassifier(epochs=15, random_state=0))
grid = {
    "graphclassifier__hidden": [(4,), (16,)],
    "graphclassifier__learning_rate": [1e-4, 0.02],
}
search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
for settings, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.3f}  {settings}")
assert search.best_params_["graphclassifier__learning_rate"] == 0.02
assert search.best_score_ > 0.9
