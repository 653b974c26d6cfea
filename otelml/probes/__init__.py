"""Probes of the machine: GPU and host, read only when a metric reader asks."""
