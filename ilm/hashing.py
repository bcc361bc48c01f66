"""Hashes for cache names and reproducible orders, independent of process, machine and Python version."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

# Increment when the meaning of a stored file changes, so that old caches are not read silently.
FORMAT_VERSION = 2


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces, non-ASCII kept, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, version: int | None = None) -> str:
    """12 hex digits of SHA-256 over the canonical JSON of `value` and a version (None: `FORMAT_VERSION`)."""
    text = canonical_json({"format": FORMAT_VERSION if version is None else version, "value": value})
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_record(path: Path) -> dict[str, str | int]:
    """The record of a file in a cache's settings.json: SHA-256 and bytes."""
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def changed_files(folder: Path, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each file of a folder whose SHA-256 differs from its record.

    Raises: OSError for a missing file.
    """
    return [
        f"{name} has changed since it was written (SHA-256)"
        for name, record in records.items()
        if file_sha256(folder / name) != record["sha256"]
    ]


def model_fingerprint(folder: Path) -> str:
    """12 hex digits that identify the files of a model folder: configuration, tokenizer and weights."""
    endings = (".json", ".safetensors", ".bin", ".txt", ".model")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in endings)
    return digest({path.name: file_sha256(path) for path in files})


def order_key(*parts: str | int) -> int:
    """A 64-bit hash of `parts` for a reproducible random order (or a seed).

    Parts are joined unambiguously: ("a", "bc") and ("ab", "c") differ.
    """
    return int.from_bytes(_hash(*parts).digest(), "big")


def order_keys(*parts: str | int) -> Callable[[str | int], int]:
    """A function of one more part: `order_keys(*parts)(last) == order_key(*parts, last)`, but faster for many."""
    beginning = _hash(*parts)

    def key(last: str | int) -> int:
        whole = beginning.copy()
        whole.update(_part(last))
        return int.from_bytes(whole.digest(), "big")

    return key


def _hash(*parts: str | int) -> "hashlib.blake2b":
    return hashlib.blake2b(b"".join(map(_part, parts)), digest_size=8)


@lru_cache(maxsize=256)
def _part(part: str | int) -> bytes:
    return f"{len(str(part))}:{part}".encode("utf-8", "surrogatepass")
