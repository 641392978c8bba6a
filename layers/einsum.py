"""EinsumDense: a product of the input and a kernel, whose axes are named by letters."""

import re
from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec

__all__ = ["EinsumDense"]

_FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(KernelLayer):
    """activation(einsum(equation, x, kernel) + bias).

    equation: "ab,bc->ac" is a Dense layer for [batch, features]; "...b,bc->...c" one for any
    number of axes, "abc,cde->abde" the projection to heads of attention. output_shape: sizes of
    the axes of the result behind the batch, None for those that are the input's; a whole number for
    one. With "..." in front, of the axes behind those that it stands for. bias_axes: the letters
    along which the bias differs; None for no bias.
    kernel: as the equation says. Its axes that the result lacks count as inputs, others as outputs.
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        found = _FORM.fullmatch(re.sub(r"\s", "", equation)) if isinstance(equation, str) else None
        dots = None if found is None else found.group(1, 3, 5, 7)
        if found is None or dots is None or dots[:2] != dots[2:] or all(dots):
            raise parameter_error(
                f"EinsumDense: equation={equation!r:.60}",
                'write "ab,bc->ac", "...b,bc->...c" or "ab...,bc->ac...": the axes of the input, '
                "of the kernel and of the result",
            )
        self.equation = found.group(0)
        self.left_elided, self.right_elided = dots[0] is not None, dots[1] is not None
        self.given, self.weight, self.result = found.group(2, 4, 6)
        sizes = (output_shape,) if is_whole(output_shape) else output_shape
        if not isinstance(sizes, list | tuple) or not all(
            size is None or (is_whole(size) and size >= 1) for size in sizes
        ):
            raise parameter_error(
                f"EinsumDense: output_shape={output_shape!r:.60}",
                "give a whole number >= 1 or None for each axis of the result behind the batch",
            )
        self.partial_output_shape = tuple(sizes)
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.use_bias = bias_axes is not None
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self._check_letters()

    def _check_letters(self) -> None:
        for what, letters, known in (
            ("of the kernel", self.weight, self.given + self.result),
            ("of the result", self.result, self.given + self.weight),
            ("of bias_axes", self.bias_axes or "", self.result),
        ):
            strange = sorted(set(letters) - set(known))
            if strange:
                raise parameter_error(
                    f"EinsumDense: {self.equation}: {', '.join(strange)} {what} "
                    f"is none of {', '.join(sorted(set(known)))}",
                    "name axes of the kernel after those of the input and of the result, and axes "
                    "of the bias after those of the result",
                )

    def build(self, input_shape: Any) -> None:
        elided = len(input_shape) - len(self.given)
        if elided < 0 or (elided and not (self.left_elided or self.right_elided)):
            raise self.error(
                f"the input has {len(input_shape)} axes",
                details=[f"allowed {len(self.given)} axes, as {self.equation} says"],
                fix="reshape the input, or write '...' for axes without letters",
            )
        first = elided if self.left_elided else 0
        known = {letter: input_shape[first + n] for n, letter in enumerate(self.given)}
        sizes = known | self._result_sizes(input_shape, known, first)
        for letter in self.weight:
            if not isinstance(sizes.get(letter), int):
                raise self.error(
                    f"the size of axis {letter!r} of the kernel must be known",
                    details=[f"got     {gc.placeholder('input', input_shape).type}"],
                    fix="declare it in Input(shape=...), or in output_shape",
                )
        rows = [n for n, letter in enumerate(self.weight) if letter not in self.result]
        columns = [n for n, letter in enumerate(self.weight) if letter in self.result]
        shape = [sizes[letter] for letter in self.weight]
        self.kernel = self.add_matrix_kernel(shape, rows, columns)
        self.bias = self.add_bias(self._bias_shape(sizes, elided))
        self.input_spec = InputSpec(ndim=len(input_shape))

    def _result_sizes(self, input_shape: Any, known: dict[str, Any], first: int) -> dict[str, Any]:
        """The sizes of the axes of the result by their letters."""
        # The batch is the first axis; where "..." stands in front it is one of those.
        letters = self.result if first else self.result[1:]
        if len(self.partial_output_shape) != len(letters):
            raise self.error(
                f"output_shape={self.partial_output_shape} has {len(self.partial_output_shape)} "
                f"sizes for the {len(letters)} axes {', '.join(letters)}",
                fix="give the size of each axis of the result behind the batch",
            )
        found: dict[str, Any] = {}
        for letter, wanted in zip(letters, self.partial_output_shape, strict=True):
            size = known.get(letter, wanted)
            if None not in (wanted, size) and isinstance(size, int) and size != wanted:
                raise self.error(
                    f"axis {letter!r} has size {size} in the input and {wanted} in output_shape",
                    details=[f"got     {gc.placeholder('input', input_shape).type}"],
                    fix="an axis that the input has too keeps its size: write None",
                )
            if size is not None:
                found[letter] = size
        return found

    def _bias_shape(self, sizes: dict[str, Any], elided: int) -> list[int]:
        axes = self.bias_axes or ""
        if not axes:
            return []
        behind = self.result[min(map(self.result.index, axes)) :]
        after = elided if self.right_elided else 0
        for letter in axes:
            if not isinstance(sizes.get(letter), int):
                raise self.error(
                    f"the size of axis {letter!r} of the bias must be known",
                    fix="declare it in Input(shape=...), or leave it out of bias_axes",
                )
        return [sizes[letter] if letter in axes else 1 for letter in behind] + [1] * after

    def call(self, inputs: Any) -> Any:
        result = gc.einsum(self.equation, inputs, self.kernel)
        return self.activation(result if self.bias is None else result + self.bias)
