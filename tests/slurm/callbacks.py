"""Callbacks of test runs: one that makes steps long enough to be interrupted, one that fails on one process alone."""

import time

import pytorch_lightning as pl


class Slow(pl.Callback):
    """Every step takes `seconds` longer."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        time.sleep(self.seconds)


class FailsOn(pl.Callback):
    """The process of this rank fails before the others have found it."""

    def __init__(self, rank: int):
        self.rank = rank

    def setup(self, trainer, module, stage):
        if trainer.global_rank == self.rank:
            raise RuntimeError(f"rank {self.rank} fails, as asked")
