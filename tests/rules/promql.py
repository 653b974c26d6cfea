"""Reads the names out of PromQL: which metrics with which matchers, and by which labels it groups."""

import re

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^{}]*)\}")
MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*§(\d+)§")
NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()")
KEYWORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring", "group_left", "group_right"}


def selectors(expression):
    """Return (metric, {label: value}) of every selector; a value is as it stands in the quotes."""
    strings = []

    def keep(found):
        strings.append(found[0][1:-1])
        return f"§{len(strings) - 1}§"

    text = re.sub(r"#[^\n]*", "", STRING.sub(keep, expression))
    text = re.sub(r"\[[^\]]*\]", "", GROUPING.sub(" ", text))
    found = []
    for name, matchers in SELECTOR.findall(text):
        found.append((name, {label: strings[int(i)] for label, _, i in MATCHER.findall(matchers)}))
    plain = NAME.findall(SELECTOR.sub(" ", text))
    return found + [(name, {}) for name in plain if name.lower() not in KEYWORDS]


def grouped(expression):
    """Return the labels in `by`, `on`, `group_left` and so on."""
    clauses = GROUPING.findall(STRING.sub('""', expression))
    return {label for clause in clauses for label in re.findall(r"\w+", clause)}
