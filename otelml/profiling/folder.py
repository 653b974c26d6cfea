"""The directory of profiles: private files, so many and so large at most, the oldest removed first."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from time import gmtime, strftime
from typing import Any

NAME = re.compile(r"otelml-\d{8}T\d{6}Z-[0-9a-f]{16}\.speedscope\.json")
"""Only files of such names are ever removed. A name holds a time and a random number, nothing of a request."""
_PART = ".part"


class Folder:
    """Profiles in one directory, shared with other processes.

    Args:
        path: The directory; made, for its owner alone, where it is not there.
        files: Most files in it.
        size: Most bytes of all of them together.
    """

    def __init__(self, path: str, files: int, size: int) -> None:
        self._path, self._files, self._size = Path(path), files, size

    def write(self, profile_id: str, document: dict[str, Any]) -> Path | None:
        """Write a profile for its owner alone; return its path, None where it alone is larger than all may be.

        Raises:
            OSError: The directory cannot be written to.
        """
        data = json.dumps(document, separators=(",", ":")).encode()
        if len(data) > self._size:
            return None
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path / f"otelml-{strftime('%Y%m%dT%H%M%SZ', gmtime())}-{profile_id}.speedscope.json"
        part = path.with_name(path.name + _PART)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        part.replace(path)
        self._prune(path)
        return path

    def _prune(self, newest: Path) -> None:
        """Remove the oldest profiles while there are too many, or they are too large; never the newest."""
        mine = sorted(each for each in self._path.iterdir() if NAME.fullmatch(each.name) and each != newest)
        sizes = {each: _size(each) for each in (*mine, newest)}
        while mine and (len(mine) >= self._files or sum(sizes.values()) > self._size):
            oldest = mine.pop(0)
            oldest.unlink(missing_ok=True)  # another process may have removed it
            del sizes[oldest]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed by another process meanwhile
        return 0
