"""The Celery application of ``test_servers.py``: one prediction a task, and otelml started where WAY says."""

import os

import served
from celery import Celery
from celery.signals import worker_process_init

folder = os.environ["NOTES"]
app = Celery(
    "tasks",
    broker="filesystem://",
    broker_transport_options={
        **dict.fromkeys(("data_folder_in", "data_folder_out"), f"{folder}/broker"),
        "control_folder": f"{folder}/control",  # it would be made where the tests stand
    },
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)


@app.task
def predict():
    """Make one prediction and leave a note."""
    served.predict()
    with open(f"{folder}/done-{os.getpid()}", "a") as file:  # noqa: PTH123 - one byte a task, appended
        file.write(".")


@worker_process_init.connect
def start_in_child(**_):
    """Start otelml in the new process, if this is the way."""
    served.start_in_child()


if os.environ.get("IN_WORKER"):  # not in the test, which imports this module to send tasks
    served.start_in_parent()
