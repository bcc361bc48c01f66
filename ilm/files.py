"""Files that are either whole or absent: written to a temporary name, flushed to disk, renamed. And locks."""

import errno
import json
import logging
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ilm.errors import UserError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("ilm")

# Errors that are no fault of this program: a file can take no more, or its place cannot be written to.
DISK_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of this disk is used up",
    errno.EFBIG: "a file may not be that large here (ulimit -f)",
}
DISK_ERRORS = frozenset(
    (*DISK_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)
)
# A file system that has no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


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
        readable = temporary.stat().st_mode & 0o666
        for file in temporary.rglob("*"):
            if file.is_file():
                file.chmod(readable)  # some libraries write for their owner alone, whatever the umask says
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


def cache_folder(root: Path, name: str, instead: Path | None = None) -> Path:
    """Where a cache lies, or is to be made: `root/name`, or `instead/name` where `root` cannot be written to."""
    existing = next(path for path in (root, *root.absolute().parents) if path.exists())
    if instead is None or (root / name).exists() or os.access(existing, os.W_OK):
        return root / name
    log.info("%s cannot be written to: %s is kept in %s", root, name, instead)
    return instead / name


class GrowingArray:
    """An array that waits in a raw file while it grows, so that memory does not grow with it. `path` must be new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch(exist_ok=False)

    def append(self, values: "np.ndarray") -> None:
        """Append; all values must be of one type."""
        with open(self.path, "ab") as file:
            file.write(values.tobytes())  # `tofile` does not say that a disk is full

    def mapped(self, dtype: type) -> "np.ndarray":
        """All values (their type was `dtype`), mapped from the file."""
        import numpy as np  # only now: a mistyped command is answered without it

        # An empty file cannot be mapped.
        return np.memmap(self.path, dtype, "r") if self.path.stat().st_size else np.zeros(0, dtype)

    def save(self, path: Path, dtype: type, *, stored_as: type | None = None) -> None:
        """Move the values (their type was `dtype`) to a .npy file, as type `stored_as`."""
        import numpy as np

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
        # A path that is not UTF-8 holds surrogates, which JSON escapes in the same way.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: Path, *keys: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if the file is damaged: it holds no object with these keys."""
    try:
        value = read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) and value.keys() >= set(keys) else None


def remove_strays(folder: Path, *, all_of_them: bool = False) -> None:
    """Remove what processes of this machine that are gone left half-written in a folder, or `all_of_them` there."""
    for path in folder.glob(".*"):
        found = re.fullmatch(r"\..+\.(?:tmp|old)-(.+)-(\d+)-[0-9a-f]{8}", path.name)
        if found is None or not (all_of_them or (found[1] == host() and not is_alive(int(found[2])))):
            continue
        # Two processes that clean up at the same time may meet.
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a folder with all that is in it: a kill leaves it whole, or a stray beside it (`remove_strays`)."""
    old = _beside(path, "old")
    os.replace(path, old)
    shutil.rmtree(old)


def host() -> str:
    """The name of this machine."""
    return platform.node() or "unknown"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine still exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def locked(path: Path, refusal: str | None, *, instead: str = "choose another place") -> Iterator[None]:
    """Hold the lock file `path` for this process. The operating system frees it, however the process ends.

    Where the file system has no locks, that is said in a warning, and nothing is held.

    Raises: UserError with the message `refusal` if another process holds it (None: waits for it), or one that ends in
    `instead` if it cannot be made.
    """
    lock = FileLock(path, blocking=refusal is None, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(refusal) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise UserError(f"{path.parent} cannot be written to ({error.strerror}): {instead}") from error
        log.warning("%s has no locks: make sure yourself that no other process writes here", path.parent)
    try:
        yield
    finally:
        if lock.is_locked:
            # Before it is released: filelock takes no lock on a file that is gone, so two never hold it.
            path.unlink(missing_ok=True)
            lock.release()


def require_writable(folder: Path, option: str) -> None:
    """Make sure that files can be made in a folder, or where it is to be made: asked before the first long step.

    Raises: UserError that names the `option` to type for another place.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = DISK_FULL.get(error.errno or 0, error.strerror or str(error))
        raise UserError(f"{folder} cannot be written to ({why}): type {option}=... for another place") from error


def readable_size(n_bytes: float) -> str:
    """A number of bytes for a person."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{max(n_bytes, 0) / 1e6:.1f} MB"


def _beside(path: Path, purpose: str) -> Path:
    """A new name in the folder of `path`, with the process it belongs to (`remove_strays`)."""
    return path.with_name(f".{path.name}.{purpose}-{host()}-{os.getpid()}-{secrets.token_hex(4)}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
