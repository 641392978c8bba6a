"""The objects of modules, made on several cores: ahead of time, while others are being written.

    making = Making(target)
    making.begin(module)             # a helper starts on it, if there is a core for one
    making.objects([module, other])  # waits for what was begun, and makes the rest

Helpers run in LLVM without Python's lock, so that the text of a program is written meanwhile.
"""

import threading
from collections import deque
from collections.abc import Sequence

from graphc.backends.llvm.jit import MOST_LANES, Module, module_object
from graphc.backends.llvm.target import Target
from graphc.threads import usable_cores

NAME = "graphc compiler"
ALONE = 1 << 13  # characters of text that are compiled sooner than a thread starts to help


def module_objects(modules: Sequence[Module], target: Target) -> tuple[bytes, ...]:
    """The object files of modules, the longest first, on as many cores as there are."""
    return Making(target).objects(modules)


class Making:
    """Objects that were made or begun, by module."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._helpers: list[threading.Thread] = []
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[Module] = deque()
        self._known: set[Module] = set()
        self._made: dict[Module, bytes] = {}
        self._errors: list[BaseException] = []
        self._complete = False  # nothing more is to come

    def begin(self, module: Module) -> None:
        """Make it as soon as there is a core for it beside the one that calls."""
        if usable_cores() == 1:
            return
        with self._changed:
            self._add(module)
            self._changed.notify()
        self._help(1)

    def objects(self, modules: Sequence[Module]) -> tuple[bytes, ...]:
        """The object files of modules. What was begun, and is none of them, is dropped."""
        wanted = set(modules)
        with self._changed:
            self._waiting = deque(one for one in self._waiting if one in wanted)
            for module in modules:
                self._add(module)
            self._waiting = deque(sorted(self._waiting, key=lambda one: -len(one.text)))
            text = sum(len(one.text) for one in self._waiting)
            self._complete = True
            self._changed.notify_all()
            count = len(self._waiting) - 1
        if text >= ALONE:
            self._help(count)
        self._work()
        try:
            for helper in self._helpers:
                helper.join()
        except BaseException as error:  # an interrupt: what has begun ends by itself
            self._errors.append(error)
        if self._errors:
            raise self._errors[0]
        return tuple(self._made[module] for module in modules)

    def stop(self) -> None:
        """Begin nothing more. What has begun ends by itself."""
        with self._changed:
            self._waiting.clear()
            self._complete = True
            self._changed.notify_all()

    def _add(self, module: Module) -> None:
        if module not in self._known:
            self._known.add(module)
            self._waiting.append(module)

    def _help(self, count: int) -> None:
        """So many helpers more, if there are cores for them."""
        with self._changed:
            count = min(count, min(usable_cores(), MOST_LANES) - 1 - len(self._helpers))
            new = [
                threading.Thread(target=self._work, name="graphc compiler") for _ in range(count)
            ]
            self._helpers += new
        for helper in new:
            helper.start()

    def _work(self) -> None:
        while (module := self._next()) is not None:
            try:
                self._made[module] = module_object(module, self.target)
            except BaseException as error:
                self._errors.append(error)
                self.stop()

    def _next(self) -> Module | None:
        """What to make next; None where there is no more, and none to come."""
        with self._changed:
            while not self._waiting and not self._complete:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None
