"""What other libraries call things that graphc has under another name.

numpy, the Array API's elder sister, Theano, TensorFlow, JAX and torch: who knows one of them types
its names first. Nothing is defined twice for that; the error says what the thing is called here.
"""

from collections.abc import Collection
from difflib import get_close_matches

_RENAMED = {
    "abs": "absolute fabs",
    "acos": "arccos",
    "acosh": "arccosh",
    "arange": "range",
    "as_tensor": "convert_to_tensor from_numpy tensor",
    "asarray": "array",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "astype": "to_float",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "binom": "comb",
    "bitcast": "bitcast_convert_type",
    "gammaln": "loggamma",
    "bitwise_invert": "bitwise_not invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "boolean_mask": "masked_select",
    "checkpoint": "remat",
    "clip": "clamp clip_by_value",
    "concat": "cat column_stack concatenate dstack hstack vstack",
    "cond": "ifelse",
    "conj": "conjugate",
    "cumulative_prod": "cumprod",
    "cumulative_sum": "cumsum",
    "custom_gradient": "custom_vjp",
    "divide": "div true_divide truediv",
    "dprint": "debugprint make_jaxpr pp pprint printing",
    "expand_dims": "unsqueeze",
    "eye": "identity",
    "flip": "fliplr flipud reverse",
    "full": "fill",
    "grad": "gradients",
    "jacobian": "jacfwd jacrev",
    "jvp": "Rop custom_jvp",
    "linalg": "nlinalg",
    "linalg.cholesky": "cholesky",
    "linalg.inv": "matrix_inverse",
    "linalg.norm": "norm",
    "map": "map_fn tree_map",
    "matmul": "batch_matmul batched_dot bmm mm mv",
    "max": "amax reduce_max",
    "mean": "reduce_mean",
    "min": "amin reduce_min",
    "multiply": "mul",
    "negative": "neg",
    "nn": "nnet",
    "nn.log_softmax": "log_softmax",
    "outer": "ger",
    "permute_dims": "dimshuffle permute",
    "placeholder": (
        "dmatrix dscalar dtensor3 dvector fmatrix fscalar ftensor3 fvector imatrix iscalar ivector "
        "lmatrix lscalar lvector matrix tensor3 tensor4 vector"
    ),
    "pow": "float_power power",
    "prod": "reduce_prod",
    "random.normal": "randn random_normal",
    "random.uniform": "rand random_uniform",
    "reciprocal": "inv",
    "remainder": "mod",
    "round": "around rint",
    "scan": "foldl foldr",
    "segment_max": "unsorted_segment_max",
    "segment_mean": "unsorted_segment_mean",
    "segment_min": "unsorted_segment_min",
    "segment_prod": "unsorted_segment_prod",
    "segment_sum": "unsorted_segment_sum",
    "sign": "sgn",
    "split": "array_split chunk hsplit vsplit",
    "square": "sqr",
    "stop_gradient": "no_grad",
    "subtract": "sub",
    "sum": "reduce_sum",
    "all": "reduce_all",
    "any": "reduce_any",
    "logsumexp": "reduce_logsumexp",
    "switch": "case",
    "take": "index_select",
    "top_k": "topk",
    "trapezoid": "trapz",
    "trunc": "fix",
    "unique_values": "unique",
    "variable": "get_variable shared",
    "vecdot": "inner vdot",
    "vjp": "Lop",
    "where": "masked_fill",
}
_WRITTEN = {
    "assign": "updates={v: new} of graphc.function",
    "assign_add": "updates={v: v + step} of graphc.function",
    "assign_sub": "updates={v: v - step} of graphc.function",
    "clip_by_norm": "x * graphc.minimum(1, most / graphc.linalg.norm(x))",
    "degrees": "x * (180 / graphc.pi)",
    "flatten": "x.reshape((-1,))",
    "global_variables_initializer": "nothing: a graphc.variable has its value from the start",
    "hstack": "graphc.concat([x, y], axis=1)",
    "nanpercentile": "graphc.nanquantile(x, q / 100)",
    "name_scope": "name= of graphc.placeholder and graphc.variable",
    "ptp": "graphc.max(x) - graphc.min(x)",
    "radians": "x * (graphc.pi / 180)",
    "rank": "x.ndim",
    "ravel": "x.reshape((-1,))",
    "shape": "x.shape",
    "size": "x.size",
    "squared_difference": "graphc.square(x - y)",
    "variable_scope": "name= of graphc.variable",
    "view": "x.reshape(shape), or graphc.bitcast(x, dtype)",
    "vstack": "graphc.concat([x, y], axis=0)",
}
HERE = {other: f"graphc.{own}" for own, others in _RENAMED.items() for other in others.split()}
HERE |= _WRITTEN


def advice(name: str, known: Collection[str]) -> str:
    """What to write in place of a name that graphc does not have. known: those that it has."""
    if name in HERE:
        return f"; here that is {HERE[name]}"
    close = get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(f'graphc.{one}' for one in close)}?" if close else ""
