"""Logging to stderr and to a file."""

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from tqdm import tqdm

from ilm.hardware import is_first_process

log = logging.getLogger("ilm")


class _StderrHandler(logging.Handler):
    """Writes to the current sys.stderr, above progress bars; skips records with `file_only`."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "file_only", False):
            return
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


class _LogFile(logging.FileHandler):
    """Warns once if the file cannot be written (full disk, no permission), and carries on."""

    warned = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)  # opens the file first
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.warned:
            print(f"warning: {self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)
            self.warned = True


@contextmanager
def logging_begun_afterwards(file: Path) -> Iterator[None]:
    """Start logging to `file` after the block, beginning with the command and the records of the block.

    If the block fails, no file is written.
    """
    records = MemoryHandler(capacity=1)  # keeps them all until it has a target
    log.addHandler(records)
    try:
        log.info("python %s", shlex.join(sys.argv), extra={"file_only": True})
        yield
    finally:
        log.removeHandler(records)
    set_up_logging(file)
    records.setTarget(log.handlers[-1])
    records.close()


def set_up_logging(file: Path | None = None) -> None:
    """Log to stderr and append to `file`. Processes of a run other than the first only show warnings."""
    first = is_first_process()
    file = file if first else None
    handlers: list[logging.Handler] = [_StderrHandler()]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(file, encoding="utf-8", errors="backslashreplace", delay=True))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for old in log.handlers[:]:
        log.removeHandler(old)
        old.close()
    for handler in handlers:
        log.addHandler(handler)
    log.setLevel(logging.INFO if first else logging.WARNING)
    log.propagate = False
    # Hides the libraries' start-up messages, but not their warnings.
    for library in ("pytorch_lightning", "lightning_fabric", "lightning", "transformers"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated")
    # The data does resume within an epoch, though not in the way Lightning checks for.
    warnings.filterwarnings("ignore", message=r"You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")
    # The number of processes is checked in `ilm.training.trainer`.
    warnings.filterwarnings("ignore", message=r"The `srun` command is available on your system but is not used")
    warnings.filterwarnings("ignore", message=r".*does not have many workers which may be a bottleneck")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
