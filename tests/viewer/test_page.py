"""The page's server, over real sockets: what it serves, to whom, and what it refuses, with which words."""

import gzip
import http.client
import json
import socket
import threading
import time
from contextlib import closing
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer import page as page_module
from otelml.viewer.access import Access
from otelml.viewer.api.routes import Stored
from otelml.viewer.page import LONGEST_QUERY, MOST_CONNECTIONS, PageServer
from otelml.viewer.receiver import Receiver
from otelml.viewer.store import Store

TOKEN = "a-token-for-the-tests"  # noqa: S105 - of a server that lives for a test
HOSTILE = '"><script>alert(1)</script>\u2028\x00\ud800'.encode("utf-8", "replace").decode()


@pytest.fixture(scope="module")
def page():
    """Serve a store with one hostile span; give the server."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=HOSTILE, trace_id=b"t" * 16, span_id=b"s" * 8)
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 1000
    span.attributes.add(key=HOSTILE).value.string_value = HOSTILE
    with Store() as store:
        store.add("traces", request)
        otlp = {"http": "http://127.0.0.1:1", "grpc": None}
        with closing(PageServer(store, Access(token=TOKEN), ("127.0.0.1", 0), otlp)) as server:
            yield server


def ask(page, path, method="GET", body=None, **headers):
    """Send one request; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return SimpleNamespace(status=response.status, headers=response.headers, body=response.read())
    finally:
        connection.close()


def api(page, path, **headers):
    """Send a request with the token; return the parsed answer."""
    return json.loads(ask(page, path, Authorization=f"Bearer {TOKEN}", **headers).body)


def test_the_link_becomes_a_cookie_and_goes_from_the_address(page):
    """The first use redirects to the same page without the token, with a cookie no script and no site can use."""
    link = page.link()
    path = "/" + link.partition(f":{page.port}/")[2]
    done = ask(page, path.replace("/?", "/traces?q=a%3Db&"))
    assert done.status == 303
    assert done.headers["Location"] == "/traces?q=a%3Db"
    cookie = done.headers["Set-Cookie"]
    assert cookie.startswith(f"otelml_view_{page.port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    again = ask(page, path)
    assert again.status == 401
    assert b"otelml view --url" in again.body
    shown = ask(page, "/api/version", Cookie=cookie.partition(";")[0])
    assert json.loads(shown.body)["spans"] == 1


def test_the_redirect_leads_to_no_other_host(page):
    """A path of two slashes would be another host's address."""
    token = page.link().partition("token=")[2]
    done = ask(page, f"//traces?token={token}")
    assert done.headers.get("Location", "/traces") == "/traces"
    assert not (done.headers.get("Location") or "").startswith("//")


def test_looking_at_a_link_does_not_use_it_up(page):
    """Programs that preview links send HEAD."""
    path = "/" + page.link().partition(f":{page.port}/")[2]
    assert ask(page, path, "HEAD").status == 401
    assert ask(page, path).status == 303


def test_without_a_session_there_is_the_way_in(page):
    """Pages and the API answer 401, and say how to get in; a wrong token is no better than none."""
    for path in ("/", "/traces", "/model/delay/1", "/?token=wrong"):
        done = ask(page, path)
        assert (done.status, b"otelml view --url" in done.body) == (401, True)
    done = ask(page, "/api/models")
    assert done.status == 401
    assert json.loads(done.body)["error"]["fix"].startswith("open the link")
    assert ask(page, "/api/models", Authorization="Bearer wrong").status == 401


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/nothing", "/nothing", "/assets/none.js"])
def test_every_answer_has_the_headers(page, path):
    """Whatever the answer: no script but ours, no frame, no sniffing, no address given away."""
    headers = ask(page, path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "otelml"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_only_get_and_head(page, method):
    """Other methods are refused by name, also with the token."""
    done = ask(page, "/api/models", method, Authorization=f"Bearer {TOKEN}")
    assert (done.status, done.headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(done.body)["error"]["fix"] == "use GET"


def test_head_is_get_without_a_body(page):
    """The length is that of the body that GET would have."""
    path = "/api/metrics"
    head = ask(page, path, "HEAD", Authorization=f"Bearer {TOKEN}")
    body = ask(page, path, Authorization=f"Bearer {TOKEN}")
    assert (head.body, head.headers["Content-Length"]) == (b"", str(len(body.body)))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"},
    ],
)
def test_rebinding_and_other_sites_are_refused(page, headers):
    """With the right token too: the browser of a victim would send it."""
    for path in ("/api/models", "/", "/assets/app.js"):
        done = ask(page, path, Authorization=f"Bearer {TOKEN}", **headers)
        assert done.status == 403
        assert set(json.loads(done.body)["error"]) == {"message", "fix"}
        assert "Access-Control-Allow-Origin" not in done.headers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../page.py",
        "/assets/%2e%2e/%2e%2e/page.py",
        "/../../../etc/passwd",
        "/assets/..%2f..%2fpage.py",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/assets/",
        "/assets",
        "/index.html/../../x",
        "/src/main.ts",
    ],
)
def test_no_path_leads_out(page, path):
    """Only the built files are served, from a list."""
    done = ask(page, path, Authorization=f"Bearer {TOKEN}")
    assert done.status in (400, 404)
    assert b"import" not in done.body
    assert b"root:" not in done.body


def test_what_is_too_large_is_refused(page):
    """Long addresses and queries, many and long headers, bodies: each with its status, and the server goes on."""
    assert ask(page, "/api/traces?q=" + "x" * LONGEST_QUERY).status == 414
    assert ask(page, "/" + "x" * 70_000).status == 414
    assert ask(page, "/", X="y" * 70_000).status == 431
    assert ask(page, "/", **{f"X{i}": "y" for i in range(150)}).status == 431
    done = ask(page, "/api/version", body=b"x" * 1000, Authorization=f"Bearer {TOKEN}")
    assert (done.status, done.headers["Connection"]) == (413, "close")
    assert api(page, "/api/version")["spans"] == 1


def test_what_is_no_http_is_answered(page):
    """Rubbish gets 400 with our headers, and the connection closed."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rubbish\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"nosniff" in answer


def test_a_flood_of_connections_leaves_the_server_standing(page):
    """More connections than there is room for are closed; once they go, it answers."""
    held = [socket.create_connection(("127.0.0.1", page.port), timeout=10) for _ in range(MOST_CONNECTIONS + 10)]
    for connection in held:
        connection.close()
    page.answers.store.wait_for(lambda _: len(page.connections) < 5, timeout=10)
    assert api(page, "/api/version")["spans"] == 1


def test_hostile_names_are_data(page):
    """They come as JSON strings, equal to what was sent, in an answer no browser runs."""
    found = api(page, "/api/trace?id=" + b"t".hex() * 16)
    (span,) = found["spans"]
    assert span["name"] == HOSTILE
    assert span["attributes"] == {HOSTILE: HOSTILE}
    done = ask(page, "/api/trace?id=" + b"t".hex() * 16, Authorization=f"Bearer {TOKEN}")
    assert done.headers["Content-Type"] == "application/json"
    assert done.headers["X-Content-Type-Options"] == "nosniff"


def test_faults_of_parameters_are_told(page):
    """400 with every fault, the value and the fix; 404 for what is not there."""
    done = ask(page, "/api/traces?limit=-5&min_s=x&what=1", Authorization=f"Bearer {TOKEN}")
    error = json.loads(done.body)["error"]
    assert done.status == 400
    assert len(error["faults"]) == 3
    assert "limit='-5' is not a whole number from 1 to 1000" in error["message"]
    assert "min_s" in error["fix"]
    missing = ask(page, "/api/trace?id=" + "0" * 32, Authorization=f"Bearer {TOKEN}")
    assert missing.status == 404
    unknown = ask(page, "/api/nothing", Authorization=f"Bearer {TOKEN}")
    assert unknown.status == 404
    assert "models" in json.loads(unknown.body)["error"]["fix"]


def test_answers_are_packed_for_those_who_ask(page):
    """Large ones with gzip where it is accepted, else as they are; both the same."""
    path = "/api/sql?query=SELECT+range+FROM+range(2000)&limit=2000"
    plain = ask(page, path, Authorization=f"Bearer {TOKEN}")
    packed = ask(page, path, Authorization=f"Bearer {TOKEN}", Accept_Encoding="gzip, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


def test_csv_comes_as_a_file(page):
    """With a name, and the rows of the table."""
    done = ask(page, "/api/sql?query=SELECT+1+AS+a&format=csv", Authorization=f"Bearer {TOKEN}")
    assert done.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert done.headers["Content-Disposition"] == 'attachment; filename="sql.csv"'
    assert done.body == b"a\r\n1\r\n"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM spans",
        "SELECT 1; DROP TABLE spans",
        "COPY spans TO 'x.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM glob('/*')",
        "SELEC",
    ],
)
def test_sql_only_reads_the_store(page, query):
    """Neither writes, files, the network nor settings; DuckDB's own words say why."""
    done = ask(page, f"/api/sql?query={query.replace(' ', '+')}", Authorization=f"Bearer {TOKEN}")
    assert done.status == 400, done.body
    assert json.loads(done.body)["error"]["message"]
    assert api(page, "/api/version")["spans"] == 1


def test_sql_gives_every_kind_of_value(page):
    """Times, intervals, bytes, lists and maps come as JSON has them; what JSON has no number for is null or text."""
    query = """
        SELECT to_timestamp(0) AS moment, DATE '2026-11-21' AS day, INTERVAL 1 DAY AS length, 'x'::BLOB AS bytes,
            [1, NULL] AS list, {'a': 1.5} AS map, 'nan'::DOUBLE AS nan, 1.10::DECIMAL(4, 2) AS exact, true AS yes
    """
    found = api(page, f"/api/sql?{urlencode({'query': query})}")
    row = dict(zip(found["columns"], found["rows"][0], strict=True))
    assert row.pop("moment").startswith(("1970-01-01T", "1969-12-31T"))
    assert row == {
        "day": "2026-11-21",
        "length": "1 day, 0:00:00",
        "bytes": "78",
        "list": [1, None],
        "map": {"a": "1.5"},
        "nan": None,
        "exact": "1.10",
        "yes": True,
    }


def test_sql_that_takes_too_long_is_ended(page):
    """After its time, with the way to have more of it."""
    query = "SELECT+count(*)+FROM+range(1000000)+a,range(10000000)+b+WHERE+a.range*b.range%25+7=3"
    error = api(page, f"/api/sql?query={query}&timeout=1")["error"]
    assert "longer than 1 s" in error["message"]


def test_many_readers_beside_a_writer():
    """Answers stay right and in order while spans arrive: the count never falls, and ends with all of them."""
    with Receiver() as receiver, closing(PageServer(receiver.store, Access(token=TOKEN), ("127.0.0.1", 0))) as server:
        seen, done = [], threading.Event()

        def read():
            while not done.is_set():
                seen.append(api(server, "/api/version")["spans"])
                assert "error" not in api(server, "/api/traces")

        reader = threading.Thread(target=read)
        reader.start()
        for i in range(50):
            request = ExportTraceServiceRequest()
            scope = request.resource_spans.add().scope_spans.add()
            for j in range(20):
                scope.spans.add(name="x", trace_id=bytes([i + 1]) * 16, span_id=bytes([j + 1]) * 8)
            receiver.store.add("traces", request)
        done.set()
        reader.join()
        assert seen == sorted(seen)
        assert api(server, "/api/version")["spans"] == 1000
        receiver.store.close()


def test_the_version_says_whether_anything_arrived(page):
    """``arrivals`` moves with data and with nothing else; the page without data is told where to send."""
    first, second = api(page, "/api/version"), api(page, "/api/version")
    assert first["arrivals"] == second["arrivals"]
    assert (first["empty"], first["otlp"]) == (False, {"http": "http://127.0.0.1:1", "grpc": None})
    assert (first["first_ns"], first["last_ns"]) == (10**18, 10**18 + 1000)
    with Store() as store, closing(PageServer(store, Access(token=TOKEN), ("127.0.0.1", 0))) as server:
        empty = api(server, "/api/version")
    assert (empty["empty"], empty["first_ns"], empty["spans"]) == (True, None, 0)


def test_the_range_of_what_there_is_spans_all_signals():
    """Metrics that began before the first span and went on after the last, and logs, count as spans do."""
    with Store() as store:
        answers = Stored(store)
        for signal, times in (("traces", (50, 60)), ("metrics", (20, 70)), ("logs", (10, 30)), ("metrics", (90,))):
            store.add(signal, signal_at(signal, times))
        version = answers.version({})
    assert (version["first_ns"], version["last_ns"]) == (10, 90)


def signal_at(signal, times):
    """Return a request with an item at each time."""
    if signal == "traces":
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for time in times:
            spans.add(name="a", start_time_unix_nano=time, end_time_unix_nano=time)
    elif signal == "logs":
        request = ExportLogsServiceRequest()
        records = request.resource_logs.add().scope_logs.add().log_records
        for time in times:
            records.add(time_unix_nano=time)
    else:
        request = ExportMetricsServiceRequest()
        points = request.resource_metrics.add().scope_metrics.add().metrics.add(name="level").gauge.data_points
        for time in times:
            points.add(time_unix_nano=time, as_double=1.0)
    return request


def test_files_of_the_page_are_cached_by_their_content(page, tmp_path):
    """A file comes with a tag, and not again while the tag holds; only kinds that a page has are read."""
    (tmp_path / "app.js").write_text("let x = 1;\n" * 200)
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "secret.py").write_text("x = 1")
    found = page_module.files(tmp_path)
    assert sorted(found) == ["app.js", "index.html"]
    with closing(PageServer(page.answers.store, Access(token=TOKEN), ("127.0.0.1", 0))) as server:
        server.files = found
        first = ask(server, "/assets/app.js")
        assert first.headers["Content-Type"].startswith("text/javascript")
        assert ask(server, "/assets/app.js", If_None_Match=first.headers["ETag"]).status == 304
        assert ask(server, "/traces", Authorization=f"Bearer {TOKEN}").body == b"<!doctype html>"
        linked = ask(server, "/traces", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
        assert (linked.status, linked.body) == (200, b"<!doctype html>")


def test_closing_ends_open_connections():
    """A browser that keeps its connection does not hold the viewer up."""
    with Store() as store:
        server = PageServer(store, Access(token=TOKEN), ("127.0.0.1", 0))
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100)
        server.close()
        connection.settimeout(10)
        while connection.recv(65_536):
            pass
        connection.close()
        deadline = time.monotonic() + 10
        while server.connections and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.connections == set()
