"""Imports that leave the process as it was."""

from __future__ import annotations

import gc
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put warning filters back as they were, and collect no garbage meanwhile.

    Importing the SDK and requests adds filters, and numpy and scikit-learn copy all filters at every call. Imports
    make no garbage, but enough objects to start several full collections of 5 ms each.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        if collecting:
            gc.enable()
