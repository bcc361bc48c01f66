"""Failures of a run: helpful messages, and their record in status.json."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ilm.config.train import Train
from ilm.errors import UserError
from ilm.files import denied
from ilm.hardware import is_first_process
from ilm.models.devices import is_out_of_memory
from ilm.runs.folder import RunFolder

log = logging.getLogger("ilm")


@contextmanager
def failures_recorded(folder: RunFolder, settings: Train) -> Iterator[None]:
    """Record in status.json training that does not finish: `failed` with the reason, or `interrupted` by a signal.

    Raises: UserError in place of errors that a user can fix: out of memory, a full disk.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        _set_state(folder, state="interrupted", seconds_left=None)
        raise
    except Exception as error:
        plain = _as_user_error(error, folder, settings)
        _set_state(folder, state="failed", reason=str(plain or error)[:2000] or type(error).__name__, seconds_left=None)
        # The entry point prints it to the terminal.
        log.error("the run failed: %s", plain or f"{type(error).__name__}: {error}", extra={"file_only": True})
        if plain is None or plain is error:
            raise
        raise plain from error


def _as_user_error(error: Exception, folder: RunFolder, settings: Train) -> UserError | None:
    if isinstance(error, UserError):
        return error
    if is_out_of_memory(error):
        return UserError(_out_of_memory(error, folder, settings))
    if why := denied(error, folder.path):
        has_saved = any(folder.checkpoints.glob("*.ckpt"))
        intact = f" The checkpoints in {folder.checkpoints} are intact." if has_saved else ""
        remedy = "Make room, change the permissions or remove what is in the way, and repeat the command to resume."
        return UserError(f"{why}.{intact} {remedy}")
    return None


def _out_of_memory(error: Exception, folder: RunFolder, settings: Train) -> str:
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    data, trainer = settings.data, settings.trainer
    ways = []
    in_examples = data.max_tokens_per_batch is None
    key, unit = ("batch_size", 1) if in_examples else ("max_tokens_per_batch", data.block_tokens)
    units = getattr(data, key) // unit
    if units > 1:  # a divisor keeps the optimizer step the same
        smaller = next(size for size in range(units - 1, 0, -1) if units % size == 0)
        ways.append(
            f"data.{key}={smaller * unit} trainer.accumulate_grad_batches="
            f"{trainer.accumulate_grad_batches * units // smaller} splits the same optimizer steps into smaller parts, "
            "so it resumes this run"
        )
    # Half the current value, or shorter than the default of any device.
    row_tokens = max(data.max_length, (data.row_tokens or 2048) // 2)
    if row_tokens < (data.row_tokens or 2048):
        ways.append(f"data.row_tokens={row_tokens} makes rows shorter, and resumes this run too")
    if trainer.precision in ("32-true", "32", 32):
        ways.append("trainer.precision=bf16-mixed needs less memory, but is a different run: type name=... too")
    ways.append(f"a smaller model=..., or data.max_length below {data.max_length}, is a different run too")
    lines = "".join(f"\n  - {way}" for way in ways)
    return f"out of memory ({reason}). Add one of these to the command:{lines}"


def _set_state(folder: RunFolder, **values: Any) -> None:
    # Not even this can be written to a full disk; the error itself is reported anyway.
    with suppress(OSError):
        if is_first_process() and Path(folder.path).is_dir():
            folder.set_status(**values)
