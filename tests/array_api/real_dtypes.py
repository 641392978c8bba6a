"""A plugin of pytest for the array-api-tests suite: linear algebra draws no complex arrays."""

import importlib
from typing import Any

from hypothesis import strategies

dtypes: Any = importlib.import_module("array_api_tests.dtype_helpers")
dtypes.all_float_dtypes = dtypes.real_float_dtypes
dtypes.numeric_dtypes = dtypes.real_dtypes
# Its strategies are made when it is imported.
helpers: Any = importlib.import_module("array_api_tests.hypothesis_helpers")
helpers.complex_dtypes = strategies.nothing()
