"""When a request is profiled, and where profiles go.

Nothing is profiled by itself. A request is, where ``OTELML_PROFILE_RATE`` says so, or where it carries the token of
``OTELML_PROFILE_TOKEN``; at most so many a minute, and one at a time.
"""

from __future__ import annotations

import hmac
import threading
from collections import deque
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from otelml import events, semconv
from otelml._guard import guard
from otelml.profiling import stacks
from otelml.profiling.folder import Folder
from otelml.profiling.profile import Profile, current
from otelml.profiling.sampling import need_pyinstrument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from pathlib import Path

    from opentelemetry.context.context import Context

    from otelml.config import Config
    from otelml.events import Events

    Call = Callable[..., Awaitable[None]]

HEADER = b"x-otelml-profile"
MINUTE = 60.0


class Profiles:
    """Takes profiles for one runtime.

    Args:
        config: The settings.
        events: Where the event of each profile goes.
    """

    def __init__(self, config: Config, events: Events) -> None:
        self._events = events
        self._rate, self._most = config.profile_rate, config.profile_per_minute
        self._token = config.profile_token.encode() if config.profile_token else None
        self.asked = bool(self._rate or self._token)
        """Whether requests may be profiled."""
        self._folder = None
        if config.profile_directory:
            self._folder = Folder(config.profile_directory, config.profile_max_files, config.profile_max_bytes)
        self._random = Random()  # noqa: S311 - of our own: the application's sequence of numbers stays as it is
        self._lock, self._begun = threading.Lock(), deque[float]()

    @staticmethod
    def check(config: Config) -> None:
        """Raise MissingExtraError where the settings ask for profiles and pyinstrument is not installed."""
        if config.profile_rate or config.profile_token:
            need_pyinstrument()

    def open(self, name: str | None) -> Profile:
        """Return a profile to enter.

        Raises:
            MissingExtraError: pyinstrument is not installed.
        """
        need_pyinstrument()
        return Profile(self, None if name is None else events.text(str(name)[: stacks.MAX_TEXT]))

    # Requests ---------------------------------------------------------------------------------------------------

    def request(self, call: Call, scope: MutableMapping[str, Any]) -> Call:
        """Return an ASGI application's call; one that profiles the request, where it is chosen."""
        with guard("profiling.request"):
            # A websocket may stay open for hours.
            trigger = self._trigger(scope) if scope["type"] == "http" else None
            if trigger is not None and self._may():
                return self._profiled(call, trigger)
        return call

    def _trigger(self, scope: MutableMapping[str, Any]) -> str | None:
        if self._token is not None:
            for name, value in scope["headers"]:
                if name == HEADER and hmac.compare_digest(value, self._token):
                    return "header"
        return "rate" if self._rate and self._random.random() < self._rate else None

    def _may(self) -> bool:
        """Return whether there may be one more within this minute."""
        with self._lock:
            now, begun = monotonic(), self._begun
            while begun and begun[0] <= now - MINUTE:
                begun.popleft()
            if len(begun) >= self._most:
                return False
            begun.append(now)
            return True

    def _profiled(self, call: Call, trigger: str) -> Call:
        async def profiled(*args: Any) -> None:
            with Profile(self, None, trigger):
                await call(*args)

        return profiled

    @staticmethod
    def in_threads(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return what runs a function in a thread as ``run`` does; it is sampled there if its request is profiled."""

        async def run_in_threadpool(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            profile = current.get()
            return await run(func if profile is None else profile.sampled(func), *args, **kwargs)

        return run_in_threadpool

    # What becomes of them ---------------------------------------------------------------------------------------

    def file(self, profile_id: str, threads: list[stacks.Stacks]) -> Path | None:
        """Write a profile's file; None where none is asked for, or it cannot be written."""
        if self._folder is not None:
            with guard("profiling.file"):
                return self._folder.write(profile_id, stacks.document(f"otelml {profile_id}", threads))
        return None

    def tell(self, facts: dict[str, Any], path: Path | None, where: Context) -> None:
        """Emit the event of a profile, in the context that it was begun in."""
        if path is not None:
            facts[semconv.PROFILE_FILE] = path.name
        first = next(iter(facts[semconv.PROFILE_TOP]), "nothing sampled")
        body = f"profile of {facts[semconv.PROFILE_DURATION]:.3g} s: {first}"
        known = {name: value for name, value in facts.items() if value is not None}
        self._events.emit(semconv.EVENT_PROFILE.name, "info", events.text(body), known, where=where)
