"""Rows of ``semconv`` about profiles: which functions a piece of code, or one request, spent its time in."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Event

PROFILE_ID = "otelml.profile.id"
PROFILE_NAME = "otelml.profile.name"
PROFILE_TRIGGER = "otelml.profile.trigger"
PROFILE_DURATION = "otelml.profile.duration"
PROFILE_SAMPLES = "otelml.profile.samples"
PROFILE_TOP = "otelml.profile.top"
PROFILE_FILE = "otelml.profile.file"

PROFILE_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(PROFILE_ID, "string", "A profile was taken while this span was open; its event has the same id."),
    Attribute(PROFILE_NAME, "string", "The name that the code gave to `otelml.profile()`."),
    Attribute(PROFILE_TRIGGER, "string", "Why there is a profile: `call`, `header` or `rate`."),
    Attribute(PROFILE_DURATION, "double", "Seconds that the profile covers."),
    Attribute(PROFILE_SAMPLES, "int", "Stacks that were sampled."),
    Attribute(PROFILE_TOP, "string[]", "The functions with most time of their own: share, seconds, name, file, line."),
    Attribute(PROFILE_FILE, "string", "Name of the profile's file in `OTELML_PROFILE_DIRECTORY`."),
)
EVENT_PROFILE = Event(
    "otelml.profile",
    "A profile was taken: by `otelml.profile()`, or of one request by header or rate.",
    tuple(row.name for row in PROFILE_ATTRIBUTES),
)
PROFILE_EVENTS: tuple[Event, ...] = (EVENT_PROFILE,)
