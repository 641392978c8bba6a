"""scikit-learn chooses: a grid search over hidden units and learning rates, in a pipeline."""

from gallery import figure
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


@figure(size=(5, 3))
def _(axes):
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    shown = axes.imshow(scores, cmap="viridis", vmin=0, vmax=1)
    axes.set(xticks=[0, 1], xticklabels=[1e-4, 0.02], xlabel="learning rate")
    axes.set(yticks=[0, 1], yticklabels=["4", "16"], ylabel="hidden units")
    for row in range(2):
        for column in range(2):
            axes.text(column, row, f"{scores[row, column]:.2f}", ha="center", color="w")
    axes.figure.colorbar(shown, label="accuracy")
