"""Grafana dashboards in code: `python -m collector.dashboards` writes collector/grafana/dashboards/*.json."""
