"""What an expression is made of, gathered in one walk and remembered."""

from graphc.loops.values import IndexTuple
from graphc.records import dataclass
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local
from graphc.shapes import Size

Access = tuple[str, IndexTuple]


@dataclass(slots=True)
class Facts:
    """locals and loads with repetition, in order.

    sizes: all index polynomials; used_sizes: those of them that do not address memory. zeros: the
    zero constants as text, which tells 0.0 from -0.0.
    """

    locals: list[str]
    loads: list[Access]
    sizes: list[Size]
    used_sizes: list[Size]
    zeros: tuple[str, ...]
    operations: int


class FactsOf:
    """`facts(expression)`, computed once for each object."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expr, Facts]] = {}  # with the object, so that ids stay its

    def __call__(self, expression: Expr) -> Facts:
        known = self._known.get(id(expression))
        if known is None:
            known = self._known[id(expression)] = (expression, gather(expression))
        return known[1]


def gather(expression: Expr) -> Facts:
    """In one walk, from left to right."""
    facts = Facts([], [], [], [], (), 0)
    pending: list[tuple[Expr, bool]] = [(expression, False)]
    while pending:
        item, addresses = pending.pop()
        if isinstance(item, Call):
            facts.operations += 1
            pending.extend([(arg, addresses) for arg in reversed(item.args)])
        elif isinstance(item, Local):
            facts.locals.append(item.name)
        elif isinstance(item, Load):
            facts.loads.append((item.buffer, item.index))
            pending.extend([(part, True) for part in reversed(item.index)])
        elif isinstance(item, Index):
            facts.sizes.append(item.size)
            if not addresses:
                facts.used_sizes.append(item.size)
        elif isinstance(item, Const) and item.value == 0:
            facts.zeros += (str(item.value),)
    return facts
