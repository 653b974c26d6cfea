"""Exception texts without the raw values they quote.

``could not convert string to float: 'John Smith'`` becomes ``could not convert string to float: '…'``: what failed
stays readable, what it failed on is gone. When a text is ambiguous, more is removed rather than less.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

from otelml import _guard
from otelml._guard import attempt, guarded
from otelml._text import encodable, is_long, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "…"
MAX_INPUT = 1_000
"""Characters looked at; longer texts are cut first, so that the cost of one message is bounded."""
MAX_MESSAGE = 300
MAX_FRAMES = 30
MAX_CHAIN = 5

_QUOTED = re.compile(
    r"""(?<!\w)[bBrRuUfF]{0,2}(?P<q>['"`])(?:\\.|(?!(?P=q)(?!\w)).)*(?P=q)(?!\w)"""
    r"|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019|\xab[^\xbb]*\xbb",
    re.DOTALL,
)
_QUOTE = re.compile(r"""(?<!\w)['"`]|['"`](?!\w)|["`\u201c\u201d\u2018\xab\xbb]""")
_TYPOGRAPHIC = str.maketrans("\u201c\u201d\u201e\u2018\xab\xbb", '"""\'""')
_BRACKETS = (
    (re.compile(r"\{[^{}]*\}"), "\x00"),
    (re.compile(r"\[(?!Errno -?\d+\])[^\[\]]*\]"), "\x01"),
    (re.compile(r"<[^<>]*>"), "\x02"),
)
_RESTORE = str.maketrans({"\x00": "{…}", "\x01": "[…]", "\x02": "<…>"})
_UNCLOSED = re.compile(r"\[(?!Errno -?\d+\])|[{<]")
_TOKENS = (
    re.compile(r"\S*\w://\S*"),  # addresses
    re.compile(r"\S*@\S*"),  # e-mail
    re.compile(r"(?<![\w/])/\S*|\S*[?&]\S*=\S*|\b[A-Za-z]:\\\S*"),  # paths and queries
    re.compile(r"(?<==)\s?(?!…)[^\s,;)]\S*"),  # the right-hand side of name=value
    re.compile(r"[^\s…]{25,}"),  # keys and tokens
    re.compile(r"(?=\S*\d\D*\d)(?=\S*[A-Za-z]\S*)[\w.+~-]*(?:[A-Za-z]\d|\d[A-Za-z])[\w.+~-]{4,}"),  # mixed ids
)
_NUMBERS = re.compile(r"[+-]?\d(?:[ .,:_/-]?\d)*")
_FRAME = re.compile(r'^\s*File "[^"]*", line \d+(?:, in \S+)?', re.MULTILINE)
_MANY_DIGITS = 4


def scrub(text: str) -> str:
    """Return the first line of ``text`` without quoted strings, long numbers, addresses, tokens and object dumps.

    At most ``MAX_MESSAGE`` characters. Words outside quotes stay: they are the library's own.
    """
    text = encodable(text[:MAX_INPUT].translate({0: None, 1: None, 2: None}))
    text = _without_quoted(text)
    head, *rest = text.strip().splitlines() or [""]
    head = _without_brackets(head)
    for pattern in _TOKENS:
        head = pattern.sub(MARK, head)
    head = _NUMBERS.sub(_short_number, head).translate(_RESTORE)
    if len(head) > MAX_MESSAGE:
        head = head[: MAX_MESSAGE - 1] + MARK
    return f"{head} {MARK}" if rest and not head.endswith(MARK) else head


@guarded("scrub.message", "")
def message(error: BaseException) -> str:
    """Return the scrubbed message of an exception; empty when its ``__str__`` fails, which is no fault of ours."""
    text, _ = attempt(_said, error)
    return "" if text is None else scrub(text)


def _said(error: BaseException) -> str:
    """Return what an exception says; of one that was given long lists what those are: its text may be endless."""
    if any(map(is_long, error.args)):
        return ", ".join(map(plain, error.args))
    return str.__str__(str(error))


def type_name(error: BaseException) -> str:
    """Return the class of an exception with its module, as ``exception.type`` wants it."""
    kind = type(error)
    module = kind.__module__ if type(kind.__module__) is str else ""
    return encodable(kind.__qualname__ if module in ("builtins", "") else f"{module}.{kind.__qualname__}")


@guarded("scrub.stacktrace", "")
def stacktrace(error: BaseException) -> str:
    """Return where an exception and its causes were raised: file, line and function, never source or values.

    At most ``MAX_CHAIN`` exceptions of ``MAX_FRAMES`` frames, the cause before its effect, as Python prints them.
    """
    return "\nwhich led to\n".join(reversed([_trace(link) for link in _chain(error)]))


def clean_stacktrace(text: str) -> str:
    """Return only the file, line and function entries of a formatted traceback made by somebody else."""
    return "\n".join(found.group().strip() for found in _FRAME.finditer(text))


def _without_quoted(text: str) -> str:
    replaced = _QUOTED.sub("'\x03'", text)
    leftover = _QUOTE.search(replaced.replace("'\x03'", "\x03"))
    if leftover is None:
        return replaced.replace("\x03", MARK)
    # A quote without its partner: nobody can tell inside from outside, so all that may be inside goes.
    text = text.translate(_TYPOGRAPHIC)
    quotes = [found.start() for found in _QUOTE.finditer(text)]
    first, last = (quotes[0], quotes[-1]) if quotes else (0, len(text) - 1)
    if len(quotes) <= 1 or not _closes(text, last):
        last = len(text) - 1
    return f"{text[:first]}'{MARK}'{text[last + 1 :]}"


def _closes(text: str, at: int) -> bool:
    return at > 0 and not text[at - 1].isspace() and not text[at + 1 : at + 2].isalnum()


def _without_brackets(text: str) -> str:
    for pattern, sign in _BRACKETS:
        previous = None
        while previous != text:
            previous, text = text, pattern.sub(sign, text)
    unclosed = _UNCLOSED.search(text)
    return text if unclosed is None else text[: unclosed.start()] + MARK


def _short_number(found: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in found.group())
    return found.group() if digits < _MANY_DIGITS else "#"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(link))
        yield link
        link = link.__cause__ if link.__cause__ is not None or link.__suppress_context__ else link.__context__


def _trace(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    lines = [encodable(f'File "{frame.filename}", line {frame.lineno}, in {frame.name}') for frame in frames]
    text = message(error)
    return "\n".join([*lines, f"{type_name(error)}: {text}" if text else type_name(error)])


_guard.describe = stacktrace
