"""Tests that pass only when they run again (``--reruns``): they are named at a run's end, and many of them fail it."""

import pytest

MOST = 3
"""That may pass only the second time: a busy machine explains a few, more are a fault."""


def _unstable(config):
    """Return the names of the tests that ran again and passed then; none in a worker, which does not report."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    ended = {report.nodeid for kind in ("failed", "error") for report in reporter.stats.get(kind, ())}
    return sorted({report.nodeid for report in reporter.stats.get("rerun", ())} - ended)


def pytest_sessionfinish(session, exitstatus):
    """Fail the run where there are too many."""
    if exitstatus == pytest.ExitCode.OK and len(_unstable(session.config)) > MOST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Name them: each is a fault of the test, or of otelml, that shows now and then."""
    if names := _unstable(config):
        terminalreporter.section(f"{len(names)} passed only the second time (at most {MOST} may)")
        for name in names:
            terminalreporter.line(name)
