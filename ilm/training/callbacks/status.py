"""Progress of a run: status.json for other programs, lines in the log, and the figures of the progress bar."""

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from ilm.models.scoring import perplexity
from ilm.progress import duration
from ilm.runs.folder import RunFolder
from ilm.training.callbacks.metrics import Metrics, at_step_end, is_last
from ilm.training.callbacks.validation import Validation
from ilm.training.lightning import callbacks_of

log = logging.getLogger("ilm")

STATUS_SECONDS = 30.0
# Between updates of the bar, since reading the loss synchronises with the GPU.
BAR_SECONDS = 1.0


class StatusReporter(pl.Callback):
    """Writes status.json every 30 seconds, and a line to the log every `log_seconds`.

    `shown` is for the progress bar (`bar_figures`): mean loss and infill perplexity since the last record, tokens per
    second without padding, and the time left. It comes after the callbacks for metrics and validation, and before
    checkpoints.
    """

    def __init__(
        self,
        folder: RunFolder,
        metrics: Metrics,
        validation: Validation,
        *,
        total_steps: int,
        log_seconds: float = 60.0,
    ):
        self.folder, self.metrics, self.validation = folder, metrics, validation
        self.total_steps, self.log_seconds = total_steps, log_seconds
        self.shown: dict[str, str] = {}
        self._first_step, self._began = 0, 0.0
        self._last_bar = self._last_status = self._last_line = -math.inf
        self._has_bar = False
        self._trained_before = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._first_step, self._began = trainer.global_step, time.monotonic()
        # The first line comes after a sixth of the usual time, to show early whether anything is wrong.
        self._last_line = self._began - self.log_seconds * 5 / 6
        bar = trainer.progress_bar_callback
        self._has_bar = bool(getattr(bar, "is_enabled", False))
        if trainer.is_global_zero:
            self._trained_before = self.folder.status.get("seconds_trained", 0)
            self.write(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero or not at_step_end(trainer, batch_idx):
            return
        now = time.monotonic()
        status_due = now - self._last_status >= STATUS_SECONDS or is_last(trainer, batch_idx)
        line_due = now - self._last_line >= self.log_seconds
        if not (status_due or line_due or (self._has_bar and now - self._last_bar >= BAR_SECONDS)):
            return
        figures = self.metrics.figures()
        left = self._seconds_left(trainer, now)
        self.shown = {
            "context+infill loss": f"{figures['loss']:.3f}",
            "infill perplexity": f"{perplexity(figures['infill_loss']):.1f}",
            "tokens/s": f"{figures['tokens_per_second']:,.0f}",
            "left": duration(left),
        }
        self._last_bar = now
        if status_due:
            self.write(trainer)
        if line_due:
            self._last_line = now
            shown = ", ".join(f"{key} {value}" for key, value in self.shown.items())
            # A terminal with a bar shows this already.
            file_only = {"file_only": True} if self._has_bar else {}
            log.info("step %d of %d: %s", trainer.global_step, self.total_steps, shown, extra=file_only)

    def _seconds_left(self, trainer: pl.Trainer, now: float) -> float:
        done = trainer.global_step - self._first_step
        return (self.total_steps - trainer.global_step) * (now - self._began) / done if done else math.nan

    def write(self, trainer: pl.Trainer) -> None:
        """Write status.json; reading the loss synchronises with the GPU."""
        self._last_status = time.monotonic()
        figures, left = self.metrics.figures(), self._seconds_left(trainer, self._last_status)
        self.folder.set_status(
            state="running",
            step=trainer.global_step,
            total_steps=self.total_steps,
            loss=_finite(figures["loss"]),
            tokens_per_second=_finite(figures["tokens_per_second"]),
            first=losses_as_json(self.validation.first),
            best=losses_as_json(self.validation.best),
            targets_seen=self.metrics.targets_by_level(),
            seconds_trained=round(self._trained_before + self._last_status - self._began),
            seconds_left=None if math.isnan(left) else round(left),
        )


def bar_figures(trainer: pl.Trainer) -> dict[str, Any]:
    """The figures for a progress bar."""
    return next((callback.shown for callback in callbacks_of(trainer) if isinstance(callback, StatusReporter)), {})


def losses_as_json(losses: Mapping[str, float]) -> dict[str, float | None]:
    """The losses and step of a validation for status.json: None for NaN and infinity."""
    return {key: _finite(value) for key, value in losses.items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
