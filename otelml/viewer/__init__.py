"""The embedded viewer: an OTLP receiver, the DuckDB store behind it, and the pages over it.

``rows`` (what comes out) ← ``encoding``, ``attributes`` (as JSON) ← ``decode`` (OTLP to rows) ← ``folding`` (delta and
cumulative points to the latest one) ← ``schema`` (tables) ← ``database`` (DuckDB) ← ``ledger`` (counts, series, latest
points), ``pruning`` (the size cap) and ``ingest`` (commits) ← ``store`` ← ``queries`` (questions over a store), ``api``
(the pages' answers) and ``receiver`` (HTTP and gRPC in). ``remote`` asks Prometheus, Jaeger and Loki instead: what
they hold goes, as OTLP, into a store that lives as long as the answer takes.
"""
