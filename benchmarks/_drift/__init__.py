"""What benchmarks/drift.py compares, and on what."""
