"""Packages that fit together, and those that do not."""

from otelml import config
from otelml.doctor import packages

SETTINGS = config.load({}, {})


def found():
    """Return what is said of packages added by a test."""
    return [finding for finding in packages.clashes(SETTINGS) if "made-up" in finding.detail]


def test_this_environment_fits():
    """The packages that these tests run with fit together: no fault."""
    assert [each for each in packages.clashes(SETTINGS) if each.state == "fault"] == []
    (said,) = packages.versions(SETTINGS)
    assert "opentelemetry-sdk 1." in said.detail


def test_contrib_of_another_release_line(installed):
    """A package of OpenTelemetry that needs another release of it is a fault, with what it needs."""
    installed.add("opentelemetry-instrumentation-made-up", "0.40b0", "opentelemetry-instrumentation (==0.40b0)")
    (finding,) = found()
    assert finding.state == "fault"
    assert "needs opentelemetry-instrumentation==0.40b0; there is 0." in finding.detail
    assert finding.fix == "pip install 'opentelemetry-instrumentation==0.40b0'"


def test_a_package_of_opentelemetry_without_its_own(installed):
    """A requirement that is not installed is a fault."""
    installed.add("opentelemetry-made-up", "1.0", "opentelemetry-not-here>=1")
    assert [(each.state, "not installed" in each.detail) for each in found()] == [("fault", True)]


def test_others_that_want_another_opentelemetry(installed):
    """Of other people's packages it is a note; what has nothing to do with telemetry is not looked at."""
    installed.add("made-up", "1.0", "protobuf<4", "opentelemetry-api<1.20", "numpy<1", "nothing-known")
    assert [each.state for each in found()] == ["note", "note"]
    assert all("environment of its own" in each.fix for each in found())


def test_markers_and_extras_count_as_pip_counts_them(installed):
    """Another platform's requirement does not count; an extra's counts where it is installed."""
    installed.add(
        *("opentelemetry-made-up", "1.0"),
        *("protobuf<1; sys_platform == 'nowhere'", "protobuf<2; extra == 'old'", "not-here>1; extra == 'old'"),
        extras=("old",),
    )
    (finding,) = found()
    assert finding.state == "note"
    assert "protobuf<2" in finding.detail


def test_odd_metadata_is_passed_over(installed):
    """A requirement that nobody can read is no reason to fail."""
    installed.add("opentelemetry-made-up", "1.0", "what is this ~= ???")
    assert found() == []
