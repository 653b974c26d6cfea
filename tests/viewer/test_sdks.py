"""OpenTelemetry's SDKs for Go and JavaScript send to the receiver: what they held is what the store gives back."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "sdks"
WAYS = [("go", "http/protobuf"), ("go", "grpc"), ("js", "http/protobuf"), ("js", "http/json"), ("js", "grpc")]
ATTRIBUTES = {"text": "Zürich ✈", "whole": 2**53 - 1, "half": 0.5, "yes": True, "texts": ["a", "b"]}


def need(program, how):
    """Skip without a program; in CI it has to be there."""
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed: {how}")


@pytest.fixture(scope="module")
def senders(tmp_path_factory):
    """Return what makes the command of a language's sender, built at its first use."""
    made = {}

    def go():
        need("go", "https://go.dev/doc/install")
        program = tmp_path_factory.mktemp("go") / "send"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "go", check=True)
        return [program]

    def js():
        need("npm", "apt-get install nodejs npm, or https://nodejs.org")
        if not (HERE / "js/node_modules/.package-lock.json").exists():
            subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=HERE / "js", check=True)
        return ["node", HERE / "js/send.mjs"]

    def sender(language):
        if language not in made:
            made[language] = {"go": go, "js": js}[language]()
        return made[language]

    return sender


@pytest.mark.timeout(600)
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(("language", "protocol"), WAYS)
def test_other_languages_send(receiver, senders, language, protocol, compression):
    """Spans with events, links and a status, a counter, a histogram and a log record arrive as they were."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint,
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        "OTEL_SERVICE_NAME": f"from-{language}",
    }
    done = subprocess.run(
        [*senders(language), protocol],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    store = receiver.store
    assert dict(store.received) == {"traces": 2, "metrics": 2, "logs": 1}
    assert not receiver.rejected
    check_spans({span.name: span for span in store.spans()}, language)
    (items,) = store.latest("sent.items")
    assert (items.value, items.unit, items.temporality, dict(items.attributes)) == (
        3,
        "{item}",
        "cumulative",
        {"kind": "a"},
    )
    (took,) = store.latest("sent.time")
    assert (took.count, took.sum, took.bounds, took.bucket_counts) == (2, 2.0, (1, 2), (1, 1, 0))
    (log,) = store.logs()
    assert (log.body, log.severity, log.severity_text, dict(log.attributes)) == ("hello", 17, "ERROR", {"row": 7})
    assert log.span_id == store.spans("parent")[0].span_id


def check_spans(spans, language):
    """Assert that both spans are what was sent."""
    parent, child = spans["parent"], spans["child"]
    assert (parent.kind, dict(parent.attributes)) == ("server", ATTRIBUTES)
    assert (child.parent_id, child.trace_id) == (parent.span_id, parent.trace_id)
    assert (child.status, child.status_message) == ("error", "went wrong")
    assert [(event.name, dict(event.attributes)) for event in child.events] == [("happened", {"count": 3})]
    assert [link.span_id for link in child.links] == [parent.span_id]
    assert (parent.scope, parent.scope_version) == ("sender", "1.2")
    assert parent.resource["service.name"] == f"from-{language}"
