"""Feast: a real store with an online table in SQLite, asked in a prediction."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

feast = pytest.importorskip("feast", reason="feast is not installed; scripts/test-integrations stores")
import pandas as pd  # noqa: E402 - after the question whether Feast is there
from feast.types import Float32, String  # noqa: E402 - the same

import otelml  # noqa: E402 - the same
from otelml.integrations.feast import FeastInstrumentor  # noqa: E402 - the same

CANARY = "canary7f3a"
FEATURES = ["weather:speed", "weather:gust"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that knows two airports, written a minute ago; of the second no gust."""
    folder = tmp_path_factory.mktemp("feast")
    (folder / "feature_store.yaml").write_text(
        "project: flights\nprovider: local\nregistry: registry.db\noffline_store:\n  type: file\n"
        "online_store:\n  type: sqlite\n  path: online.db\nentity_key_serialization_version: 3\n"
    )
    store = feast.FeatureStore(repo_path=str(folder))
    airport = feast.Entity(name="airport", join_keys=["airport"], value_type=feast.ValueType.STRING)
    source = feast.FileSource(path=str(folder / "weather.parquet"), timestamp_field="at")
    view = feast.FeatureView(
        name="weather",
        entities=[airport],
        schema=[feast.Field(name="airport", dtype=String), feast.Field(name="speed", dtype=Float32),
                feast.Field(name="gust", dtype=Float32)],
        source=source,
        ttl=timedelta(days=1),
    )  # fmt: skip
    written = datetime.now(UTC) - timedelta(minutes=1)
    frame = pd.DataFrame({"airport": [CANARY, "LGA"], "speed": [3.0, 4.0], "gust": [9.0, None], "at": written})
    frame.to_parquet(folder / "weather.parquet")
    store.apply([airport, view])
    store.write_to_online_store("weather", frame)
    return store


@pytest.fixture
def on():
    """Feast instrumented for one test."""
    one = FeastInstrumentor()
    one.instrument(skip_dep_check=True)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


ROWS = [{"airport": CANARY}, {"airport": "LGA"}, {"airport": "nowhere"}]


def check(telemetry):
    """Compare the stage with what the store holds: two rows of three, one value less."""
    (stage,) = [span for span in telemetry.spans() if span.name == "feature_retrieval"]
    said = {name.rpartition("retrieval.")[2]: value for name, value in stage.attributes.items() if "retrieval." in name}
    assert 60 <= said.pop("age") < 600
    assert said == {"source": "feast", "rows": 3, "values": 6, "missing.share": 0.5}
    assert telemetry.total("ml.feature_retrieval.values", {"ml.feature_retrieval.source": "feast"}) == 6
    assert telemetry.total("ml.feature_retrieval.missing_values") == 3
    assert telemetry.total("ml.stage.duration", {"ml.stage": "feature_retrieval"}) == 1
    assert CANARY not in str([telemetry.spans(), telemetry.logs(), telemetry.metrics()])


def test_online_features(telemetry, on, store):
    """They are the stage of the prediction, with rows, share of missing values and age; keys are not recorded."""
    with otelml.prediction("delay"):
        found = store.get_online_features(features=FEATURES, entity_rows=ROWS).to_dict()
    assert found["speed"] == [3.0, 4.0, None]
    check(telemetry)


def test_entities_by_column(telemetry, on, store):
    """Entity rows may be columns too."""
    with otelml.prediction("delay"):
        store.get_online_features(FEATURES, {"airport": [CANARY, "LGA", "nowhere"]})
    check(telemetry)


def test_asynchronous(telemetry, on, store):
    """The coroutine is measured until it has answered; what it raises is Feast's own."""

    async def main():
        async with otelml.prediction("delay"):
            return await store.get_online_features_async(features=FEATURES, entity_rows=ROWS)

    try:
        asyncio.run(main())
    except NotImplementedError:  # not every online store has it
        (stage,) = [span for span in telemetry.spans() if span.name == "feature_retrieval"]
        assert stage.attributes["error.type"] == "NotImplementedError"
    else:
        check(telemetry)


def test_undone(telemetry, store):
    """The very function is back."""
    before, one = vars(feast.FeatureStore)["get_online_features"], FeastInstrumentor()
    one.instrument(skip_dep_check=True)
    assert vars(feast.FeatureStore)["get_online_features"] is not before
    one.uninstrument()
    assert vars(feast.FeatureStore)["get_online_features"] is before


def test_a_large_answer_costs_little(telemetry, on, store):
    """Reading an answer of 20,000 rows takes less than a hundredth of what Feast takes for it."""
    from otelml.integrations.feast import _read  # noqa: PLC0415 - its own promise
    from otelml.retrieval import FeatureRetrieval  # noqa: PLC0415 - the same

    rows = [{"airport": f"a{number}"} for number in range(20_000)]
    began = time.perf_counter()
    response = store.get_online_features(features=FEATURES, entity_rows=rows)
    took = time.perf_counter() - began
    began = time.perf_counter()
    _read(FeatureRetrieval(), response, rows)
    assert time.perf_counter() - began < took / 100
