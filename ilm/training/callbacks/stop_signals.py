"""Stopping a run by signal."""

import atexit
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

from ilm.hardware import STOP_SIGNALS

SAME_REQUEST_SECONDS = 0.5


class StopSignals(pl.Callback):
    """Handles signals that ask a run to stop; `received` is the first one.

    During training it only records the signal: `Checkpoints` saves and exits at the end of the optimizer step. Before
    and after training the process exits at once, with 128 + signal. So does a second signal, unless it follows so soon
    that both are one request (a scheduler signals all processes of a job, and so may the parent process).

    It must be the first callback. Lightning installs its own handlers between `listening` and the start of training
    (one makes SIGTERM exit with 0, another saves in the middle of a step on Slurm), so training installs these again.
    """

    def __init__(self, *, saving: bool = True) -> None:
        """`saving`: whether the run saves before stopping; a dry run does not, and exits at once."""
        self._saving = saving
        self.received: int | None = None
        self._process = os.getpid()
        self._stepping = False
        self._at = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals within the block; restore the previous handlers afterwards."""
        before: dict[int, Any] = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        self._listen(before)
        try:
            yield
        finally:
            self._stepping = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stepping = self._saving
        self._listen({number: signal.getsignal(number) for number in STOP_SIGNALS})

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stepping = False
        if self.received is not None:
            raise SystemExit(128 + self.received)

    def _listen(self, before: dict[int, Any]) -> None:
        for number, handler in before.items():
            # nohup ignores SIGHUP, and shells ignore SIGINT for background processes: keep that.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:
            return  # a worker that was just forked
        now = time.monotonic()
        if self.received is not None:
            if now - self._at > SAME_REQUEST_SECONDS:
                os._exit(128 + number)
            return
        self.received, self._at = number, now
        if not self._stepping:
            raise SystemExit(128 + number)
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: saving at the end of this step, then stopping (repeat to stop at once)\n".encode())


@atexit.register
def _end_workers() -> None:
    # multiprocessing would send SIGTERM, which they ignore, and wait.
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()
