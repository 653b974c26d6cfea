"""Text of the application's values: plain, encodable, in bounded time, whatever their classes do."""

import pytest
from odd_values import EndlessText, Hostile, Untouchable, itself, wide

from otelml import _text


class Mute(type):
    """A class of classes that refuse to tell their name."""

    __name__ = property(Hostile._raise)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("a", "a"), (3, "3"), (b"a\xff", "a\ufffd"), ("\ud800", "?"), ((1, "a"), "(1, 'a')"), (None, "None")),
        *((Hostile(), "Hostile"), (Untouchable(), "Untouchable"), (10**5000, "int"), (Mute("Quiet", (), {})(), None)),
        *((wide(), "list"), (itself(), "list"), (list(range(17)), "list"), (EndlessText("x"), "x")),
    ],
    ids=[f"value {i}" for i in range(14)],
)
def test_plain(value, text):
    """A value's text, or the name of its class where that raises or would take long; always a plain str."""
    found = _text.plain(value)
    assert type(found) is str
    assert text is None or found == text
    assert found.encode()


def test_long_lists_are_told_from_short_ones():
    """What holds others or is long is not written out."""
    assert [_text.is_long(x) for x in ((1, 2), {"a": 1}, [[1]], {"a": [1]}, "x" * 99, range(99))] == [0, 0, 1, 1, 0, 0]
