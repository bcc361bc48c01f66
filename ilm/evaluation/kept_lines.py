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
        if not self.path.is_file():
            return {}
        found, end = {}, 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line)
                found[tuple(record[field] for field in self.key)] = record
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            end += len(line)
        else:
            return found
        os.truncate(self.path, end)
        return self.read()

    def add(self, batches: Iterable[Sequence[Record]], progress: ProgressLog) -> None:
        """Append the records of each batch as soon as it is made."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as out, progress:
            for batch in batches:
                out.writelines(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in batch)
                out.flush()
                os.fsync(out.fileno())
                progress.update(len(batch))
