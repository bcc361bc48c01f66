"""Stopping a run from outside: SIGTERM (a scheduler), Ctrl-C, SIGUSR1 (Slurm's --signal), SIGHUP (a lost terminal)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


class StopSignals(pl.Callback):
    """Listens to the signals that ask a run to stop; the first one is kept in `received`.

    While a step is being made it waits there for the end of the step, where `Checkpoints` saves and exits. Before
    training and after it nothing is half-done that would have to be finished: the process exits at once, with
    128 + signal. A second signal always exits at once.

    It stands before the other callbacks. Lightning sets handlers of its own between `listening` and the start of
    training (one makes SIGTERM exit with 0, one saves in the middle of a step on a Slurm cluster), so these are set
    once more then.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._stepping = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen within the block, and put back the handlers that were there before."""
        before = {number: signal.getsignal(number) for number in NUMBERS}
        self._listen(before)
        try:
            yield
        finally:
            self._stepping = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stepping = True
        self._listen({number: signal.getsignal(number) for number in NUMBERS})

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stepping = False
        if self.received is not None:
            raise SystemExit(128 + self.received)

    def _listen(self, before: dict[int, Any]) -> None:
        for number, handler in before.items():
            # nohup ignores SIGHUP, and a shell SIGINT for what it starts in the background.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        if not self._stepping:
            raise SystemExit(128 + number)
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: saving at the end of this step, then stopping (again: stop at once)\n".encode())
