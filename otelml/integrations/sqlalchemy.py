"""SQLAlchemy: a span of each statement, by upstream's instrumentation where that is installed; its text is left out."""

from __future__ import annotations

from otelml.integrations._upstream import UpstreamInstrumentor


class SQLAlchemyInstrumentor(UpstreamInstrumentor):
    """Switches ``opentelemetry-instrumentation-sqlalchemy`` on, for engines that are made from now on."""

    requirement, library = "sqlalchemy >= 2.0", "sqlalchemy"
    upstream = (("opentelemetry.instrumentation.sqlalchemy", "SQLAlchemyInstrumentor"),)
