"""A scoring service over gRPC, without generated code: JSON in and out. Run: python app.py 50051."""

import json
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml

METHOD = "/scoring.Scoring/Score"


def score(request: dict[str, list[float]], context: grpc.ServicerContext) -> dict[str, float | str]:
    if len(request["row"]) != model.n_features_in_:
        log.warning("a row of %d numbers", len(request["row"]))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"row: {model.n_features_in_} numbers")
    with otelml.prediction("tumour", "1") as p:
        benign = float(model.predict_proba([request["row"]])[0, 1])
        log.info("scored")
    return {"benign": benign, "prediction_id": p.id}


def serve(port: int) -> None:
    method = grpc.unary_unary_rpc_method_handler(score, json.loads, lambda answer: json.dumps(answer).encode())
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("scoring.Scoring", {"Score": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(5))
    server.wait_for_termination()


if __name__ == "__main__":
    otelml.auto_instrument("scoring")
    logging.basicConfig(level=logging.INFO)
    log = otelml.logger("scoring")
    rows, labels = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    serve(int(sys.argv[1]))
