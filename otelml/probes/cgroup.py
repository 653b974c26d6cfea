"""What a container may use: memory and CPU limits from Linux control groups, versions 2 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a control group in bytes; ``cached`` is file cache, which the kernel gives back when it is needed."""

    limit: int
    used: int
    cached: int


def memory(root: Path = ROOT) -> Memory | None:
    """Return the memory of the tightest group this process is in; None where no group has a limit.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    groups = [group for path in _groups(root, "memory") if (group := _memory(path)) is not None]
    return min(groups, key=lambda group: group.limit, default=None)


def cpus(root: Path = ROOT) -> float | None:
    """Return how many CPUs' worth of time this process may use; None where no group has a quota.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    quotas = [quota for path in _groups(root, "cpu") if (quota := _quota(path)) is not None]
    return min(quotas, default=None)


def _groups(root: Path, controller: str) -> list[Path]:
    """Return the directory of the group of this process and of the groups around it; limits of all of them hold."""
    mount = root / "sys/fs/cgroup"
    unified = (mount / "cgroup.controllers").exists()
    top = mount if unified else mount / controller
    own = top / _own_path(root, "" if unified else controller).strip("/")
    # In a container the path can be the host's and not exist here: then the mount itself is the container's group.
    return [path for path in (own, *own.parents) if path.is_relative_to(top) and path.is_dir()]


def _own_path(root: Path, controller: str) -> str:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and ".." not in path.split("/"):
            return path
    return ""


def _memory(group: Path) -> Memory | None:
    if (group / "memory.max").exists():
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    else:
        limit, used = _number(group / "memory.limit_in_bytes"), _number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    statistics = dict(line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line)
    cached = int(statistics.get("file") or statistics.get("total_cache") or 0)
    return Memory(limit, used, min(cached, used))


def _quota(group: Path) -> float | None:
    words = _text(group / "cpu.max").split() or [
        _text(group / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period")
    ]
    quota, period = (int(word) if word.isdigit() else 0 for word in words[:2])
    return quota / period if quota > 0 and period > 0 else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
