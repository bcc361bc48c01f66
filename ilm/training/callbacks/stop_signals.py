"""Stopping a run from outside: SIGTERM (a scheduler), Ctrl-C, SIGUSR1 (Slurm's --signal), SIGHUP (a lost terminal)."""

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

SAME_REQUEST_SECONDS = 0.5
NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


class StopSignals(pl.Callback):
    """Listens to the signals that ask a run to stop; the first one is kept in `received`.

    While a step is being made it waits there for the end of the step, where `Checkpoints` saves and exits. Before
    training and after it nothing is half-done that would have to be finished: the process exits at once, with
    128 + signal. A second signal exits at once, unless it comes so soon after the first that both are one request, sent
    to all processes of a job by its scheduler and by whoever started this one.

    It stands before the other callbacks. Lightning sets handlers of its own between `listening` and the start of
    training (one makes SIGTERM exit with 0, one saves in the middle of a step on a Slurm cluster), so these are set
    once more then.
    """

    def __init__(self, *, saving: bool = True) -> None:
        """`saving`: whether the run saves before it stops."""
        self._doing = "saving at the end of this step, then stopping" if saving else "stopping at the end of this step"
        self.received: int | None = None
        self._process = os.getpid()
        self._stepping = False
        self._at = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen within the block, and put back the handlers that were there before."""
        before: dict[int, Any] = {number: signal.getsignal(number) for number in NUMBERS}
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
        if os.getpid() != self._process:
            return  # a worker that has only just been forked
        now = time.monotonic()
        if self.received is not None:
            if now - self._at > SAME_REQUEST_SECONDS:
                os._exit(128 + number)
            return
        self.received, self._at = number, now
        if not self._stepping:
            raise SystemExit(128 + number)
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: {self._doing} (again: stop at once)\n".encode())


def init_worker(worker: int) -> None:
    """A DataLoader's `worker_init_fn`: stop signals are left to the run, whose end is the worker's end.

    Ctrl-C and scancel reach every process, and a worker that dies of them takes the step's checkpoint with it.
    """
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        # Else one whose run was killed stays for ever, if it waits to hand over a batch.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@atexit.register
def _end_workers() -> None:
    # multiprocessing ends them with the SIGTERM that they ignore, and waits.
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()
