"""All codes in one table, and the families that their first digits stand for."""

from graphc.error_catalog import (
    backends,
    differentiation,
    environment,
    functions,
    layers,
    shapes,
    values,
)
from graphc.error_catalog.explanation import Explanation

FAMILIES = {
    "E1": "shapes and dtypes",
    "E2": "feeds, inputs, names, updates, use of symbolic tensors, layers and models",
    "E3": "differentiation",
    "E4": "indices and values",
    "E5": "backends and internal checks",
    "E6": "environment",
}

CATALOG: dict[str, Explanation] = {
    **shapes.EXPLANATIONS,
    **functions.EXPLANATIONS,
    **layers.EXPLANATIONS,
    **differentiation.EXPLANATIONS,
    **values.EXPLANATIONS,
    **backends.EXPLANATIONS,
    **environment.EXPLANATIONS,
}
