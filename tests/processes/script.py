"""A program of ``test_servers.py`` that predicts, says so, and ends the way it is told."""

import os
import sys
import time

import served

if os.environ.get("WAY") == "parent":
    served.otelml.auto_instrument()
for _ in range(served.WARM):
    served.predict()
# What the worker imports at its first turn is imported: imports at the exit change the exit code of a SIGINT in Python.
time.sleep(1)
served.note("ready", "")
if sys.argv[1] == "exit":
    sys.exit(3)
elif sys.argv[1] == "error":
    raise ValueError("ended")
elif sys.argv[1] == "signal":
    time.sleep(60)
