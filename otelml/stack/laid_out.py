"""The configuration as the processes read it: links to the shipped files, and the few that depend on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from otelml.stack.errors import StackError
from otelml.stack.ports import LOOPBACK
from otelml.stack.secret_files import OWNER_ONLY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelml.stack.places import State

SCRAPED = {
    "otelcol": "otelcol-metrics",
    "prometheus": "prometheus",
    "jaeger": "jaeger-metrics",
    "loki": "loki",
    "alertmanager": "alertmanager",
}
"""Port of each job's metrics."""


def lay_out(files: Path, state: State, ports: Mapping[str, int], seen: Path | None = None) -> None:
    """Write ``STATE/config``: Prometheus' files with this stack's addresses, Alertmanager's with who is notified.

    ``seen`` is where Alertmanager finds ``notify/``, if not in the state directory: in a container.

    Raises:
        StackError: With everything that is wrong in ``STATE/notify``.
    """
    collector = files / "collector"
    _prometheus(collector, state, ports)
    alertmanager = state.config / "alertmanager"
    alertmanager.mkdir(exist_ok=True)
    _link(alertmanager / "notify", state.notify)
    merged = _absolute(notified(collector / "alertmanager.yaml", state.notify), seen or state.root)
    target = alertmanager / "alertmanager.yaml"
    target.write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")
    target.chmod(OWNER_ONLY)


def _prometheus(collector: Path, state: State, ports: Mapping[str, int]) -> None:
    place = state.config / "prometheus"
    (place / "targets").mkdir(parents=True, exist_ok=True)
    (state.config / "scrape.d").mkdir(exist_ok=True)
    _link(place / "prometheus.yaml", collector / "prometheus.yaml")
    _link(place / "rules", collector / "rules")
    _link(place / "scrape.d", state.config / "scrape.d")
    jobs = yaml.safe_load((collector / "targets" / "stack.yaml").read_text(encoding="utf-8"))
    for entry in jobs:
        entry["targets"] = [f"{LOOPBACK}:{ports[SCRAPED[entry['labels']['job']]]}"]
    _write(place / "targets" / "stack.yaml", jobs)
    _write(place / "targets" / "alertmanager.yaml", [{"targets": [f"{LOOPBACK}:{ports['alertmanager']}"]}])


def _write(path: Path, value: object) -> None:
    """Write a file that is read while it is written: it is whole at any time."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    fresh.replace(path)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.is_dir():
        shutil.rmtree(link)
    link.symlink_to(target)


def notified(base: Path, notify: Path) -> dict[str, Any]:
    """Return Alertmanager's configuration with the receivers and routes of every YAML file in ``notify``.

    Raises:
        StackError: With every file that can't be read, and every secret that a file names and that is missing.
    """
    config: dict[str, Any] = yaml.safe_load(base.read_text(encoding="utf-8"))
    faults: list[str] = []
    for path in sorted(notify.glob("*.yaml")):
        try:
            part = yaml.safe_load(path.read_text(encoding="utf-8"))
            _merge(config, part)
        except (yaml.YAMLError, OSError, TypeError, KeyError, AttributeError) as error:
            faults.append(f"{path}: not a list of receivers and routes ({error.__class__.__name__}: {error})")
            continue
        faults += [
            f"{path}: {name} is missing: write the secret into {notify.parent / name} (mode 0600)"
            for name in _secrets(part)
            if not (notify.parent / name).is_file()
        ]
    if faults:
        raise StackError("Alertmanager can't notify as asked.", faults)
    return config


def _merge(config: dict[str, Any], part: Mapping[str, Any]) -> None:
    known = {receiver["name"]: receiver for receiver in config["receivers"]}
    for receiver in part.get("receivers", ()):
        mine = known.setdefault(receiver["name"], {"name": receiver["name"]})
        if mine not in config["receivers"]:
            config["receivers"].append(mine)
        for kind, entries in receiver.items():
            if kind != "name":
                mine[kind] = [*mine.get(kind, ()), *entries]
    config["route"]["routes"] = [*part.get("routes", ()), *config["route"]["routes"]]


def _absolute(part: Any, base: Path) -> Any:
    """Return a part with the paths of its secrets absolute: Alertmanager looks from where it was started."""
    if isinstance(part, list):
        return [_absolute(each, base) for each in part]
    if not isinstance(part, dict):
        return part
    named = {key: str(base / value) for key, value in part.items() if str(key).endswith("_file") and value}
    return {key: _absolute(value, base) for key, value in part.items()} | named


def _secrets(part: object) -> list[str]:
    """Return every file that a part names, without doubles."""
    found: list[str] = []
    waiting = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found += [v for k, v in value.items() if str(k).endswith("_file") and isinstance(v, str)]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return sorted({name for name in found if not Path(name).is_absolute()})
