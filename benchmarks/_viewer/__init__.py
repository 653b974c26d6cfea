"""The parts of `benchmarks/viewer.py`."""
