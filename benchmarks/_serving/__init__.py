"""The applications that ``serving.py`` serves, and the ways they are observed."""
