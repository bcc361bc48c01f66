"""One process at a time prepares a corpus, and clears away what a killed one left."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ilm.errors import UserError

# What `ilm.files` names files and folders that are not in their place yet, or no longer.
_STRAY = (".*.tmp-*", ".*.old-*")

# A full disk, no permission, something of another kind in the place of a file: no fault of this program.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_THE_DISK = {*_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EEXIST, errno.EISDIR, errno.ENOTDIR}


@contextmanager
def preparing(folder: Path) -> Iterator[None]:
    """Hold the corpus folder `data/<corpus>` for this process; first remove what a killed run left half-written.

    The lock is a file beside the folder, held by the operating system: it is free once its process is gone, however
    that ended. Tokens are left alone, since training makes them without this lock. Where nothing was prepared in the
    end (a faulty file, a full disk) nothing is left, no empty folder either.

    Raises: UserError if another process prepares this corpus, or it cannot be written (a full disk, a file in the way).
    """
    data = Path(folder).parent
    made = [path for path in (data, *data.parents) if not path.exists()]
    lock = FileLock(data / f".{folder.name}.lock", blocking=False)
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{folder} is being prepared by another process. Wait until it has ended, or type corpus.name=... for a "
            "corpus of its own."
        ) from error
    except OSError as error:
        raise UserError(f"{data} cannot be written to ({error.strerror}): type paths.data=... for another") from error
    try:
        for place in (folder, folder / "masks"):
            for stray in (path for pattern in _STRAY for path in place.glob(pattern)):
                shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
        yield
    except OSError as error:
        # NumPy has no number for it.
        if error.errno not in _OF_THE_DISK:
            raise
        raise UserError(
            f"{folder} could not be prepared: {error}. Make room, or put right what is in the way, and type the same "
            "command again; or type paths.data=... for another place."
        ) from error
    finally:
        # Before it is released: filelock takes no lock on a file that is gone, so two never hold it.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        for path in (folder / "masks", folder, *made):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
