"""TensorFlow, tf.function graphs."""

from frameworks._tensorflow import VERSION, make  # noqa: F401

build = make(False).build
