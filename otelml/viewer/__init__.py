"""The embedded viewer's ground floor: an OTLP receiver and the SQLite store behind it.

``rows`` (what comes out) ← ``encoding`` (attributes as JSON) ← ``decode`` (OTLP to rows) ← ``folding`` (delta and
cumulative points to the latest one) ← ``schema`` and ``store`` (SQLite) ← ``queries`` (questions over a store) and
``receiver`` (HTTP and gRPC in).
"""
