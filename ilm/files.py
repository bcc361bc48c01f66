"""Files that are either whole or absent: written to a temporary name, flushed to disk, renamed."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on any error it is removed.

    A killed process leaves the old file or the new one, never half of one (and perhaps a stray `.tmp-` file, which
    nothing reads).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, keep_existing: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends without an error.

    An existing `path` is replaced, unless `keep_existing`: then the new one is dropped, for caches that several
    processes may make at once, named by a hash of what is in them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "tmp")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        _flush(temporary)
        try:
            os.replace(temporary, path)
        except OSError:
            # POSIX renames no folder over a full one.
            if not path.is_dir():
                raise
            if not keep_existing:
                old = _beside(path, "old")
                os.replace(path, old)
                os.replace(temporary, path)
                shutil.rmtree(old)
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class GrowingArray:
    """An array that waits in a raw file while it grows, so that memory does not grow with it. `path` must be new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch(exist_ok=False)

    def append(self, values: np.ndarray) -> None:
        """Append; all values must be of one type."""
        with open(self.path, "ab") as file:
            file.write(values.tobytes())  # `tofile` does not say that a disk is full

    def mapped(self, dtype: type) -> np.ndarray:
        """All values (their type was `dtype`), mapped from the file."""
        # An empty file cannot be mapped.
        return np.memmap(self.path, dtype, "r") if self.path.stat().st_size else np.zeros(0, dtype)

    def save(self, path: Path, dtype: type, *, stored_as: type | None = None) -> None:
        """Move the values (their type was `dtype`) to a .npy file, as type `stored_as`."""
        values = self.mapped(dtype)
        saved = np.lib.format.open_memmap(path, "w+", stored_as or dtype, values.shape)
        for start in range(0, len(values), 2**20):
            saved[start : start + 2**20] = values[start : start + 2**20]
        saved.flush()
        del values, saved
        self.remove()

    def remove(self) -> None:
        """Delete the raw file; arrays mapped from it can still be read."""
        self.path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _beside(path: Path, purpose: str) -> Path:
    """A new name in the folder of `path`; random, since processes of several machines may share the folder."""
    return path.with_name(f".{path.name}.{purpose}-{secrets.token_hex(4)}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
