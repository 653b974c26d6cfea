"""Rows of ``semconv``: what they are made of, and those that are many enough for a file of their own."""
