"""A program of ``test_servers.py`` that starts uvicorn with four workers, and otelml in the parent alone."""

import os

import served
import uvicorn

if __name__ == "__main__":
    served.start_in_parent()
    uvicorn.run("served:asgi", host="127.0.0.1", port=int(os.environ["PORT"]), workers=4, log_level="warning")
