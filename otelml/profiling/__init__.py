"""Profiles, when somebody asks for one: of a piece of code, or of one request. Sampled by pyinstrument."""
