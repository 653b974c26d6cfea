"""OpenTelemetry-first observability for machine-learning services: metrics, logs and traces from one call."""
