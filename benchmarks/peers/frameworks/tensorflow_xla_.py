"""TensorFlow, tf.function(jit_compile=True)."""

from frameworks._tensorflow import VERSION, make  # noqa: F401

build = make(True).build
