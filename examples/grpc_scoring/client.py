"""A caller of the scoring service, in a trace of its own. Run: python client.py 50051."""

import json
import sys

import grpc
from opentelemetry import trace
from sklearn.datasets import load_breast_cancer

import otelml
from otelml.context import with_request_id

otelml.auto_instrument("clinic")
rows, _ = load_breast_cancer(return_X_y=True)

with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    score = channel.unary_unary("/scoring.Scoring/Score", lambda row: json.dumps(row).encode(), json.loads)
    for number, row in enumerate([rows[0].tolist(), rows[20].tolist(), [1.0]]):
        with with_request_id(f"visit-{number}"), trace.get_tracer("clinic").start_as_current_span("visit"):
            try:
                answer = score({"row": row}, timeout=10)
            except grpc.RpcError as error:
                print(error.code().name)
            else:
                print(f"benign: {answer['benign']:.2f}, prediction {answer['prediction_id']}")
