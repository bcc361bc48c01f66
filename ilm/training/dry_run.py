"""What a run will cost (`dry_run=true`): hours, memory and disk, from a few of its own steps on this machine.

1. The run itself is started in a temporary folder, with its model, data, loader and precision, but no logger.
2. After `WARM_UP` steps and a validation of a few examples, steps are timed (`Stopwatch`) until there are enough.
3. Hours follow in proportion to tokens; the disk from the sizes of weights and optimizer (`ilm.training.cost`).
"""

import logging
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ilm.cli.sweep import is_recorded, note
from ilm.config.train import Checkpoint, EarlyStopping, Train
from ilm.errors import UserError
from ilm.files import readable_size
from ilm.models.devices import peak_memory
from ilm.models.summary import module_lines
from ilm.progress import duration
from ilm.runs.folder import RunFolder
from ilm.runs.identity import run_name
from ilm.training.callbacks.metrics import at_step_end
from ilm.training.callbacks.validation import Validation
from ilm.training.cost import Measured, cost_of
from ilm.training.fit import fit
from ilm.training.lightning import callbacks_of, datamodule_of
from ilm.training.module import InfillingModule
from ilm.training.plan import RunPlan, plan_run
from ilm.training.trainer import make_trainer

log = logging.getLogger("ilm")

WARM_UP = 2  # steps: the first ones compile kernels and fill caches
FEWEST, MOST = 3, 100  # steps that are timed
SECONDS = 20.0  # after which no more are
VALIDATION_EXAMPLES = 32
GIB = 2**30
# What a run without steps costs, beside its weights.
NOTHING = {"hours": 0.0, "disk_gib": 0.0, "memory_gib": 0.0}


class Enough(SystemExit):
    """Ends the measured run as a signal would, without a word."""


class Stopwatch(pl.Callback):
    """Times optimizer steps, and one validation before them; then ends the run: `measured` is what it found.

    It stands behind the callbacks of the run. All ranks end at the same step.

    Raises: Enough.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.measured: Measured | None = None
        self._began = self._validated = 0.0
        self._tokens = 0

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = _Nowhere()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._validated = _validation(trainer).seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        step, steps = trainer.global_step, int(trainer.num_training_batches) // trainer.accumulate_grad_batches
        if step > WARM_UP:
            self._tokens += batch.step.tokens
        now = self._now()
        timed, seconds = step - WARM_UP, now - self._began
        enough = timed >= MOST or (timed >= FEWEST and seconds >= SECONDS)
        if trainer.world_size > 1:
            enough = not trainer.strategy.reduce_boolean_decision(not enough, all=True)
        if step == WARM_UP:
            validation = _validation(trainer)
            self._validated = validation.seconds - self._validated
            validation.every_n_steps = steps  # none between the steps that are timed
            self._began = self._now()
        elif timed > 0 and (enough or step == steps - 1):
            self.measured = self._measured(trainer, module, timed, seconds)
            raise Enough(0)

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after its orders are given
        return self.clock()

    def _measured(self, trainer: pl.Trainer, module: Any, steps: int, seconds: float) -> Measured:
        states = (value for state in trainer.optimizers[0].state.values() for value in state.values())
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        on_gpu = module.device.type == "cuda"
        return Measured(
            steps=steps,
            seconds=seconds,
            tokens=self._tokens,
            validation_examples=len(datamodule_of(trainer).validation),
            validation_seconds=self._validated,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            trained_parameters=sum(parameter.numel() for parameter in trained),
            weights=_bytes(module.parameters()) + _bytes(module.buffers()),
            gradients=_bytes(trained),
            optimizer=_bytes(value for value in states if isinstance(value, torch.Tensor)),
            peak_memory=peak_memory(),
            device=torch.cuda.get_device_name() if on_gpu else f"{module.device.type}, {platform.machine()}",
            modules=tuple(module_lines(module.model)),
        )


class _Nowhere(TorchCheckpointIO):
    """Checkpoints that take neither time nor room."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        Path(path).touch()


def dry_run(settings: Train) -> None:
    """Log what a run would do and cost, and note the cost for the table of a sweep; nothing is left behind.

    In a sweep, a run that waits for another one (`match`, `init_from`) is noted to cost as much as that one.
    """
    others = [settings.match] if settings.match else settings.init_from or []
    with _caches_apart(settings) as apart:
        try:
            plan = plan_run(apart)
        except UserError as error:
            if not (others and is_recorded()):
                raise
            trained = settings.trainer.max_steps != 0
            note(name=run_name(settings), **({"follows": others[0]} if trained else {"cost": NOTHING}))
            log.info("%s cannot be planned yet: %s", run_name(settings), error)
            return
        note(name=plan.name)
        log.info("%s", plan.summary())
        if not plan.total_steps:
            note(cost=NOTHING)
            return
        lines, cost = cost_sheet(plan)
    log.info("%s", lines)
    note(cost=cost, level=settings.cefr_level.name)


@contextmanager
def _caches_apart(settings: Train) -> Iterator[Train]:
    """Settings that name a copy of the corpus, made of links: caches that are there are used, new ones go with it."""
    corpus = Path(settings.paths.data) / settings.corpus.name
    with tempfile.TemporaryDirectory(prefix="ilm-dry-run-") as name:
        copy = Path(name) / corpus.name
        if corpus.is_dir():
            caches = [corpus / cache for cache in ("masks", "tokens", "tokenizers")]
            for folder in (copy, *(copy / cache.name for cache in caches)):
                folder.mkdir()
            for path in {path for folder in (corpus, *caches) for path in folder.glob("*")} - {*caches}:
                (copy / path.relative_to(corpus)).symlink_to(path.absolute())
        data = settings.paths.model_copy(update={"data": name})
        try:
            yield settings.model_copy(update={"paths": data}) if corpus.is_dir() else settings
        except UserError as error:
            raise UserError(str(error).replace(name, settings.paths.data)) from error


def measure(plan: RunPlan) -> Measured:
    """A few steps of a planned run, in a folder that is gone afterwards.

    Raises: UserError if the run has too few steps to tell.
    """
    if plan.total_steps < WARM_UP + FEWEST:
        raise UserError(f"{plan.total_steps} steps are too few to be measured: type at least {WARM_UP + FEWEST}")
    with tempfile.TemporaryDirectory(prefix="ilm-dry-run-") as name:
        folder, stopwatch = RunFolder(Path(name)), Stopwatch()
        settings = plan.settings.model_copy(
            update={
                "logger": None,
                "callbacks": None,
                "validation": plan.settings.validation.model_copy(update={"every_n_steps": WARM_UP}),
                "early_stopping": EarlyStopping(patience=None),
                "checkpoint": Checkpoint(every_n_minutes=1e9),
            }
        )
        trainer, validation = make_trainer(settings, folder.path), plan.validation[:VALIDATION_EXAMPLES]
        callbacks_of(trainer).append(stopwatch)
        trial = replace(plan, path=folder.path, settings=settings, trainer=trainer, validation=validation)
        level = log.level
        log.setLevel(logging.WARNING)  # it speaks of the run as if it were real
        try:
            fit(trial, InfillingModule.of(trial), folder)
        except Enough:
            log.debug("measured")
        finally:
            log.setLevel(level)
        assert stopwatch.measured is not None  # the run has steps enough
        return stopwatch.measured


def cost_sheet(plan: RunPlan) -> tuple[str, dict[str, float]]:
    """The lines of the cost sheet of a planned run, and its sum for the total of a sweep."""
    found = measure(plan)
    cost = cost_of(
        found,
        total_steps=plan.total_steps,
        tokens_per_step=plan.steps.means()[1],
        validation_interval=plan.settings.validation.interval,
        validation_examples=len(plan.validation),
    )
    weights, gradients, optimizer, checkpoint, peak = map(
        readable_size, (found.weights, found.gradients, found.optimizer, cost.checkpoint, found.peak_memory)
    )
    trained = f", {found.trained_parameters:,} trained" if found.trained_parameters < found.parameters else ""
    processes = f" in each of {plan.steps.world_size} processes" if plan.steps.world_size > 1 else ""
    pretrained = plan.settings.model.pretrained and not plan.model.pretrained
    note = "; random weights of the same shape, since the pretrained ones are not here" if pretrained else ""
    lines = {
        "modules": "\n              ".join(found.modules),
        "parameters": f"{found.parameters:,}{trained}",
        "memory": f"{peak} at its peak{processes}: weights {weights}, gradients {gradients}, optimizer {optimizer}; "
        "the rest are activations, on a CPU libraries and corpus too",
        "disk": f"{readable_size(cost.disk)}: last.ckpt and previous.ckpt {checkpoint} each, best.ckpt and model/ "
        f"{weights} each; {readable_size(cost.most_disk)} while one is saved",
        "time": f"{duration(cost.seconds)}: training {duration(cost.training_seconds)}, {cost.validations} "
        f"validations {duration(cost.validation_seconds)} ({cost.validation_seconds / cost.seconds:.0%})",
        "measured": f"{found.steps} steps after {WARM_UP}: {found.seconds / found.steps:.3g} s a step, "
        f"{found.tokens / found.seconds:,.0f} tokens/s, the loader included; {found.validation_examples} validation "
        f"examples in {found.validation_seconds:.3g} s; {found.device}{note}",
        "assumed": "time grows with tokens, and nothing else uses this machine; saving is not counted",
    }
    summary = {"hours": cost.seconds / 3600, "disk_gib": cost.disk / GIB, "memory_gib": found.peak_memory / GIB}
    return "\n".join(f"  {key:<11} {value}" for key, value in lines.items()), summary


def _validation(trainer: pl.Trainer) -> Validation:
    return next(callback for callback in callbacks_of(trainer) if isinstance(callback, Validation))


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
