"""What a framework module hands back."""


class NotSupported(Exception):
    """This framework has no sensible way to do this workload."""


class Bench:
    """call() runs one call and blocks until done; result() gives numpy.

    facts() may tell more for the record: what memory a call takes, how many instructions.
    """

    def __init__(self, call, result, facts=dict):
        self.call, self.result, self.facts = call, result, facts


class Registry(dict):
    def __call__(self, *names):
        def deco(f):
            for n in names:
                self[n] = f
            return f

        return deco

    def build(self, name, inputs):
        if name not in self:
            raise NotSupported(name)
        return self[name](name, inputs)
