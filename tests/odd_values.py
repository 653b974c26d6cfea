"""Values that applications should not have, for several tests."""


class Hostile:
    """An object everything of which raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def _raise(self, *_):
        raise RuntimeError("John Smith")

    __array__ = __len__ = __iter__ = __repr__ = __str__ = __float__ = __eq__ = __lt__ = __bool__ = _raise
    __hash__ = object.__hash__
