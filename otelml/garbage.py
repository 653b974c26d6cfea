"""Room for otelml's own objects below the garbage collector's first threshold, so that they bring nothing forward.

CPython goes through its youngest objects when so many more have been made than freed: 700, 2,000 from Python 3.13 on.
A request in flight holds a dozen of ours, a prediction that waits for the recorder three or four, an ended one that
waits for export two. A service of a thousand predictions a second would be collected several times as often, and with
that would come full collections, which stop everything for as long as it takes to go through all that was imported.
"""

from __future__ import annotations

import gc


class Room:
    """Raises the first threshold by a number of objects; what the application sets itself afterwards stays."""

    def __init__(self, objects: int) -> None:
        self._objects = objects
        self._raised = 0

    def make(self) -> None:
        """Raise the threshold, unless the collector is off or has none."""
        if not self._objects or self._raised or not hasattr(gc, "set_threshold"):
            return
        first, *older = gc.get_threshold()
        if first:
            self._raised = first + self._objects
            gc.set_threshold(self._raised, *older)

    def give_back(self) -> None:
        """Lower it again, where it is still as it was raised."""
        if not self._raised:
            return
        first, *older = gc.get_threshold()
        if first == self._raised:
            gc.set_threshold(first - self._objects, *older)
        self._raised = 0
