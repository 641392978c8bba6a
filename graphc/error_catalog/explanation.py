"""What is said about one error code."""

from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means, an example that raises it, and the same code put right.

    The examples assume `import graphc as gc` and `import numpy as np`; a test runs all of them.
    They are empty where no user's code can raise the error.
    """

    title: str
    text: str
    example: str = ""
    fixed: str = ""
