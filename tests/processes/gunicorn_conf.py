"""Gunicorn's configuration of ``test_servers.py``: otelml in the master, in each new worker, or in both."""

import os

if os.environ.get("IN_CONF"):
    import served

    served.start_in_parent()


def post_fork(server, worker):  # noqa: D103 - gunicorn's hook
    if os.environ.get("IN_HOOK"):
        import served  # noqa: PLC0415 - the worker's import

        served.start_in_child()


def post_worker_init(worker):  # noqa: D103 - gunicorn's hook
    import served  # noqa: PLC0415 - the worker's import

    served.note("booted", "")
