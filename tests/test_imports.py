"""Imports leave the process as it was."""

import gc
import warnings
from contextlib import suppress

from otelml._imports import undisturbed


def test_filters_and_collection_are_put_back():
    """Warning filters added inside are gone afterwards, and garbage is collected again, after an error too."""
    before = list(warnings.filters)
    with suppress(ImportError), undisturbed():
        warnings.simplefilter("ignore", BytesWarning)
        assert not gc.isenabled()
        raise ImportError
    assert list(warnings.filters) == before
    assert gc.isenabled()


def test_an_application_that_collects_no_garbage_goes_on_so():
    """Where the application has switched collection off, it stays off."""
    gc.disable()
    try:
        with undisturbed():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
