"""Records that a task writes as it makes them, one JSON line each, so that a killed evaluation resumes."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.progress import ProgressLog

Record = dict[str, Any]


@dataclass(frozen=True)
class KeptLines:
    """The records in a file, identified by their fields `key`."""

    path: Path
    key: tuple[str, ...]

    def read(self) -> dict[tuple, Record]:
        """The complete records by key; a partial last one, from a killed process, is cut off."""
        found: dict[tuple, Record] = {}
        for line in self._lines():
            try:
                record = json.loads(line)
                key = tuple(record[field] for field in self.key)
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            found[key] = record
        self.truncate(len(found))
        return found

    def truncate(self, count: int) -> None:
        """Keep only the first `count` records."""
        lines = self._lines()
        if count < len(lines):
            os.truncate(self.path, sum(map(len, lines[:count])))

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True) if self.path.is_file() else []

    def add(self, batches: Iterable[Sequence[Record]], progress: ProgressLog) -> None:
        """Append the records of each batch as soon as it is made."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as out, progress:
            for batch in batches:
                out.writelines(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in batch)
                out.flush()
                os.fsync(out.fileno())
                progress.update(len(batch))
