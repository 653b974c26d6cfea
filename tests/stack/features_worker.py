"""A worker that observes rows of features: ``REFERENCE ROWS FIRST LAST``; says so, and ends when its input does."""

import sys

import numpy as np

import otelml


def main(reference, rows, first, last):
    """Predict the rows from first to last (excluded), flush, and wait for the end of the input."""
    settings = {"drift_reference": {"delay": reference}, "gpu": False, "host": False}
    running = otelml.auto_instrument(config=settings)
    for row in np.load(rows)[int(first) : int(last)]:
        with otelml.prediction("delay", "3") as p:
            p.result(inputs=row)
    sys.stdout.write("flushed\n" if running.force_flush(20) else "failed\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
