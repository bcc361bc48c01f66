"""Atomic files and folders (written to a temporary name, flushed, renamed), and lock files."""

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

# Environment errors rather than bugs: a file cannot grow, or its place is not writable.
DISK_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is too large here (ulimit -f)",
}
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)
# A file system without locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on any error it is removed.

    A killed process leaves the old file or the new one, never a partial one (and perhaps a stray `.tmp-` file, which
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

    An existing `path` is replaced. With `keep_existing` the new folder is dropped instead: for caches named by a hash
    of their contents, which several processes may create at once.
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
                file.chmod(readable)  # some libraries ignore the umask and write owner-only files
            _flush(file)
        _flush(temporary)
        try:
            os.replace(temporary, path)
        except OSError:
            # POSIX does not rename a folder over a non-empty one.
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
    """The path of an existing or new cache: `root/name`, or `instead/name` if `root` is read-only."""
    existing = next(path for path in (root, *root.absolute().parents) if path.exists())
    if instead is None or (root / name).exists() or os.access(existing, os.W_OK):
        return root / name
    log.info("%s is not writable: %s is kept in %s", root, name, instead)
    return instead / name


class GrowingArray:
    """An array that grows in a raw file instead of memory. `path` must be new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch(exist_ok=False)

    def append(self, values: "np.ndarray") -> None:
        """Append values; all must have the same dtype."""
        with open(self.path, "ab") as file:
            file.write(values.tobytes())  # `tofile` does not report a full disk

    def mapped(self, dtype: type) -> "np.ndarray":
        """All values (of type `dtype`), memory-mapped."""
        import numpy as np  # imported late, so that mistyped commands fail fast

        # An empty file cannot be mapped.
        return np.memmap(self.path, dtype, "r") if self.path.stat().st_size else np.zeros(0, dtype)

    def save(self, path: Path, dtype: type, *, stored_as: type | None = None) -> None:
        """Move the values (of type `dtype`) to a .npy file, as type `stored_as`."""
        import numpy as np

        values = self.mapped(dtype)
        saved = np.lib.format.open_memmap(path, "w+", stored_as or dtype, values.shape)
        for start in range(0, len(values), 2**20):
            saved[start : start + 2**20] = values[start : start + 2**20]
        saved.flush()
        del values, saved
        self.remove()

    def remove(self) -> None:
        """Delete the raw file; arrays mapped from it remain readable."""
        self.path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        # Non-UTF-8 paths contain surrogates, which are escaped likewise.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: Path, *keys: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if the file is damaged, or is not an object with these keys."""
    try:
        value = read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) and value.keys() >= set(keys) else None


def remove_strays(folder: Path, *, all_of_them: bool = False) -> None:
    """Remove temporary files of dead processes of this machine from a folder, or `all_of_them`."""
    for path in folder.glob(".*"):
        found = re.fullmatch(r"\..+\.(?:tmp|old)-(.+)-(\d+)-[0-9a-f]{8}", path.name)
        if found is None or not (all_of_them or (found[1] == host() and not is_alive(int(found[2])))):
            continue
        # Another process may be cleaning up at the same time.
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a folder atomically: a kill leaves it complete, or a stray beside it (`remove_strays`)."""
    old = _beside(path, "old")
    os.replace(path, old)
    shutil.rmtree(old)


def host() -> str:
    """This machine's name."""
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
    """Hold the lock file `path`; the operating system releases it, however the process ends.

    If the file system has no locks, this only warns.

    Raises: UserError `refusal` if another process holds the lock (None: wait for it), or one that ends in `instead` if
    the file cannot be created.
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
        log.warning("%s has no file locks: make sure that no other process writes here", path.parent)
    try:
        yield
    finally:
        if lock.is_locked:
            # Delete before releasing: filelock takes no lock on a deleted file, so two processes never hold it.
            path.unlink(missing_ok=True)
            lock.release()


def denied(error: BaseException, place: Path | str = "a file") -> str | None:
    """Where room or permission was missing, or something was in the way; None if an error has another cause.

    `place`: what is named if the system does not say.
    """
    cause: BaseException | None = error
    while cause is not None:  # torch wraps the system's error if a checkpoint cannot be completed
        rust = re.search(r"\(os error (\d+)\)", str(cause))  # tokenizers and safetensors
        number = cause.errno if isinstance(cause, OSError) else int(rust[1]) if rust else None
        file = getattr(cause, "filename", None) or place
        if number in DISK_FULL:
            return f"{DISK_FULL[number]}: {file} could not be written"
        if number in _DENIED:
            return f"{os.strerror(number)}: {file}"
        cause = cause.__cause__ or cause.__context__
    return None


def require_writable(folder: Path, option: str) -> None:
    """Check, before the first long step, that files can be created in a folder, which may not exist yet.

    Raises: UserError with the `option` to type for another place.
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


def _beside(path: Path, purpose: str) -> Path:
    """A new temporary name in the folder of `path`, which contains the process id (`remove_strays`)."""
    return path.with_name(f".{path.name}.{purpose}-{host()}-{os.getpid()}-{secrets.token_hex(4)}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
