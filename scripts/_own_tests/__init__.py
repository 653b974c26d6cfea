"""Plugins of pytest for ``scripts/own_tests``."""
