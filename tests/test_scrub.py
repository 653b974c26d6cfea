"""Exception texts keep what failed and lose what it failed on."""

from time import perf_counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otelml import _guard, _scrub

SECRETS = st.text(min_size=6, max_size=60).filter(lambda text: text.strip() == text)
WORDS = st.text(alphabet="abcdefghij ,.", max_size=30)

KNOWN = {
    "could not convert string to float: 'John Smith'": "could not convert string to float: '…'",
    "invalid literal for int() with base 10: 'abc'": "invalid literal for int() with base 10: '…'",
    "X has 5 features, but expects 4 features as input": "X has 5 features, but expects 4 features as input",
    "operands could not be broadcast together with shapes (3,4) (5,4)": (
        "operands could not be broadcast together with shapes (3,4) (5,4)"
    ),
    "[Errno 111] Connection refused": "[Errno 111] Connection refused",
    "user 'O'Brien Smith' is unknown": "user '…' is unknown",
    "user 'O' Brien Smith' is unknown": "user '…' is unknown",
    "can't read the customer's row": "can't read the customer's row",
    "card 4111 1111 1111 1111 refused": "card # refused",
    "mail to jane@example.org failed": "mail to … failed",
    "bad row {'name': 'Jane', 'tags': [1]} here": "bad row {…} here",
    "Max retries exceeded with url: /flights?token=abc": "Max retries exceeded with url: …",
    "GET https://u:p@host/x?y=z failed": "GET … failed",
    "1 validation error\nage\n  Input should be a number, got Jane": "1 validation error …",
    "token ghp_abcDEF1234567890 expired": "token … expired",
    "": "",
}


@pytest.mark.parametrize(("text", "expected"), KNOWN.items())
def test_known_messages(text, expected):
    """Messages of real libraries read as before, without their values; scrubbing twice changes nothing."""
    assert _scrub.scrub(text) == expected
    assert _scrub.scrub(expected) == expected


@given(SECRETS, WORDS, WORDS, st.sampled_from(["'", '"', "`"]))
def test_a_quoted_secret_never_survives(secret, before, after, quote):
    """Whatever is put between quotes by hand, quotes and backslashes included, is gone."""
    assume(secret not in f"{before} … {after}")
    assert secret not in _scrub.scrub(f"{before} {quote}{secret}{quote} {after}")


@given(SECRETS, WORDS, WORDS)
def test_a_secret_shown_by_repr_never_survives(secret, before, after):
    """A value that Python quotes itself is gone, alone and in lists and dicts."""
    assume(secret not in f"{before} {after}")
    for shown in (repr(secret), repr([secret]), repr({"key": secret}), repr(secret.encode("utf-8", "replace"))):
        assert secret not in _scrub.scrub(f"{before} {shown} {after}")


@given(st.text(max_size=2000))
def test_any_text_gives_one_bounded_line(text):
    """No input raises, no output is longer than the bound plus the sign that lines were cut."""
    clean = _scrub.scrub(text)
    assert len(clean) <= _scrub.MAX_MESSAGE + 2
    assert len(clean.splitlines()) <= 1


def test_the_worst_text_is_quick():
    """Openings without an end, the worst case of the pattern, stay bounded."""
    for text in ("'a " * 400, "{" * 1000, "[" * 1000, "a1" * 500, "1 " * 500, "/" * 1000, "=" * 1000, "@" * 1000):
        start = perf_counter()
        _scrub.scrub(text)
        assert perf_counter() - start < 0.25, text[:4]


def test_stacktrace_has_places_but_no_values():
    """The chain is shown, cause first, with files, lines and functions; neither source text nor values."""

    def fails(name):
        try:
            float(name)
        except ValueError as error:
            raise KeyError(name) from error

    with pytest.raises(KeyError) as caught:
        fails("canary-7f3a Smith")
    text = _scrub.stacktrace(caught.value)
    assert "canary" not in text
    assert "raise KeyError" not in text
    assert text.index("ValueError: could not convert") < text.index("KeyError: '…'")
    assert 'test_scrub.py", line' in text
    assert "in fails" in text


def test_stacktrace_is_bounded():
    """A recursion error and a chain that bites its own tail give short traces."""

    def deeper(n):
        return deeper(n + 1)

    with pytest.raises(RecursionError) as caught:
        deeper(0)
    assert _scrub.stacktrace(caught.value).count("\n") <= _scrub.MAX_FRAMES
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert _scrub.stacktrace(first).count("ValueError") == 2


def test_an_exception_that_cannot_be_printed(monkeypatch):
    """An exception whose ``__str__`` raises gives an empty message, not a second exception."""
    monkeypatch.setattr(_guard, "strict", False)

    class Hostile(Exception):  # noqa: N818 - a name for the test
        def __str__(self):
            raise RuntimeError("no")

    assert _scrub.message(Hostile()) == ""
    assert "Hostile" in _scrub.stacktrace(Hostile())


def test_clean_stacktrace_keeps_places_only():
    """A traceback formatted by somebody else loses its source lines and messages."""
    text = (
        'Traceback (most recent call last):\n  File "/srv/app.py", line 3, in f\n    float("Jane")\nValueError: Jane\n'
    )
    assert _scrub.clean_stacktrace(text) == 'File "/srv/app.py", line 3, in f'
