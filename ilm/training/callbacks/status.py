"""Progress of a run: status.json for other programs, lines in the log, and a bar at a terminal."""

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from ilm.models.scoring import perplexity
from ilm.progress import LOG_SECONDS, duration
from ilm.runs.folder import RunFolder
from ilm.training.callbacks.metrics import Metrics, at_step_end, has_bar, is_last
from ilm.training.callbacks.validation import Validation

log = logging.getLogger("ilm")

STATUS_SECONDS = 30.0
# Between updates of the bar, since reading the loss synchronises with the GPU.
BAR_SECONDS = 1.0


class StatusReporter(pl.Callback):
    """Writes status.json every 30 seconds and a line to the log every minute, and moves the progress bar.

    The line and the bar show the mean loss and infill perplexity since the last record, tokens per second without
    padding, and the time left. It comes after the callbacks for metrics and validation, and before checkpoints.
    """

    def __init__(self, folder: RunFolder, metrics: Metrics, validation: Validation, total_steps: int):
        self.folder, self.metrics, self.validation = folder, metrics, validation
        self.total_steps = total_steps
        self._first_step, self._began = 0, 0.0
        self._last_bar = self._last_status = self._last_line = -math.inf
        self._trained_before = 0.0
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._first_step, self._began = trainer.global_step, time.monotonic()
        # The first line comes after a sixth of the usual time, to show early whether anything is wrong.
        self._last_line = self._began - LOG_SECONDS * 5 / 6
        if trainer.is_global_zero:
            self._trained_before = self.folder.status.get("seconds_trained", 0)
            self.write(trainer)
        if has_bar(trainer):
            self._bar = tqdm(
                desc="training",
                initial=trainer.global_step,
                total=self.total_steps,
                dynamic_ncols=True,
                # Without tqdm's own estimate of the time left, which treats validations as slow steps.
                bar_format="{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero or not at_step_end(trainer, batch_idx):
            return
        now = time.monotonic()
        status_due = now - self._last_status >= STATUS_SECONDS or is_last(trainer, batch_idx)
        line_due = now - self._last_line >= LOG_SECONDS
        bar_due = self._bar is not None and (status_due or now - self._last_bar >= BAR_SECONDS)
        if status_due:
            self.write(trainer)
        shown = self._shown(trainer, now) if line_due or bar_due else {}
        if line_due:
            self._last_line = now
            line = ", ".join(f"{key} {value}" for key, value in shown.items())
            # A terminal with a bar shows this already.
            extra = {"file_only": self._bar is not None}
            log.info("step %d of %d: %s", trainer.global_step, self.total_steps, line, extra=extra)
        if self._bar is not None:
            if bar_due:
                self._last_bar = now
                self._bar.set_postfix(shown, refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        if self._bar is not None:  # also called after an exception
            self._bar.close()

    def _shown(self, trainer: pl.Trainer, now: float) -> dict[str, str]:
        """The figures of a line and of the bar; reading the loss synchronises with the GPU."""
        figures = self.metrics.figures()
        return {
            "context+infill loss": f"{figures['loss']:.3f}",
            "infill perplexity": f"{perplexity(figures['infill_loss']):.1f}",
            "tokens/s": f"{figures['tokens_per_second']:,.0f}",
            "left": duration(self._seconds_left(trainer, now)),
        }

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


def losses_as_json(losses: Mapping[str, float]) -> dict[str, float | None]:
    """The losses and step of a validation for status.json: None for NaN and infinity."""
    return {key: _finite(value) for key, value in losses.items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
