"""The parts of ``scripts/soak``: service, receiver, load, samples, counts, verdict, report."""
