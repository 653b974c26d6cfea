"""Django, where it differs from other frameworks: upstream's middleware, settings that come later."""

import subprocess
import sys

import pytest
from local_servers import by_wsgiref

pytest.importorskip("django", reason="django is not installed; scripts/test-integrations web")

from test_web_servers import get
from web_servers import Telemetry, django_wsgi_app

from otelml.integrations.django import DjangoInstrumentor


def test_upstream_already_on_gives_one_span():
    """A project that upstream instruments keeps upstream's span; the request id comes back all the same."""
    module = pytest.importorskip("opentelemetry.instrumentation.django")
    django_wsgi_app()
    telemetry, one, upstream = Telemetry(), DjangoInstrumentor(), module.DjangoInstrumentor()
    upstream.instrument(tracer_provider=telemetry.tracers)
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with by_wsgiref(django_wsgi_app()) as url:
            answer = get(f"{url}/flights/b6", headers={"X-Request-ID": "r-1"})
            assert (answer.text, answer.headers["X-Request-ID"]) == ("r-1 True", "r-1")
            (span,) = telemetry.spans(1)
    finally:
        one.uninstrument()
        upstream.uninstrument()
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.django"


def test_it_wants_no_settings():
    """It is switched on before the project is configured, and the handler made afterwards works."""
    program = (
        "from otelml.integrations.django import DjangoInstrumentor\n"
        "DjangoInstrumentor().instrument(skip_dep_check=True)\n"
        "from django.conf import settings\n"
        "settings.configure(ROOT_URLCONF='x', ALLOWED_HOSTS=['*'], SECRET_KEY='x')\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "assert get_wsgi_application().__call__.__wrapped__\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
