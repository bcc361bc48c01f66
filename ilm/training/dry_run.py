"""The cost of a run (`dry_run=true`): hours, memory and disk, from a few of its own steps on this machine.

1. The run is started in a temporary folder with its model, data, loader and precision, but without loggers and
   checkpoints.
2. `Stopwatch` times one validation of a few examples and some steps, then ends it.
3. Hours scale with tokens; the disk follows from the sizes of weights and optimizer.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from tqdm import tqdm

from ilm.cli.sweep import is_recorded, note
from ilm.config.train import EarlyStopping
from ilm.errors import UserError
from ilm.models.devices import peak_memory
from ilm.models.summary import module_lines
from ilm.progress import duration
from ilm.runs.folder import RunFolder
from ilm.runs.identity import run_name
from ilm.training.callbacks.metrics import at_step_end
from ilm.training.callbacks.validation import Validation
from ilm.training.fit import fit
from ilm.training.lightning import callbacks_of, datamodule_of
from ilm.training.module import InfillingModule
from ilm.training.plan import RunPlan, plan_run
from ilm.training.prepared import Prepared
from ilm.training.trainer import make_trainer

log = logging.getLogger("ilm")

WARM_UP = 2  # untimed steps: the first ones compile kernels and fill caches
FEWEST, MOST = 3, 100  # timed steps
SECONDS = 20.0  # no further step is timed after this
VALIDATION_EXAMPLES = 32
GIB = 2**30
# The cost of a run without steps, apart from its weights.
NOTHING = {"hours": 0.0, "disk_gib": 0.0, "memory_gib": 0.0}


class Enough(SystemExit):
    """Ends the measured run silently, by the route that a signal takes."""


class Stopwatch(pl.Callback):
    """Times `steps` optimizer steps of `tokens` tokens and a validation of `validated` examples, then ends the run.

    It comes after the run's own callbacks. All ranks end at the same step.

    Raises: Enough.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.steps = self.tokens = self.validated = 0
        self.seconds = self.validation_seconds = self._began = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        (self._validation,) = (part for part in callbacks_of(trainer) if isinstance(part, Validation))
        self.validated = len(datamodule_of(trainer).validation)
        self.validation_seconds = -self._validation.seconds  # of the one before the first step

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not at_step_end(trainer, batch_idx) or trainer.global_step < WARM_UP:
            return
        total = int(trainer.num_training_batches) // trainer.accumulate_grad_batches
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # kernels run asynchronously
        now = self.clock()
        if trainer.global_step == WARM_UP:
            self.validation_seconds += self._validation.seconds
            self._validation.every_n_steps = total  # none between the timed steps
            self._began = now
            return
        self.steps, self.tokens, self.seconds = self.steps + 1, self.tokens + batch.step.tokens, now - self._began
        enough = self.steps >= MOST or (self.steps >= FEWEST and self.seconds >= SECONDS)
        if trainer.world_size > 1:
            enough = not trainer.strategy.reduce_boolean_decision(not enough, all=True)
        if enough or trainer.global_step == total - 1:
            raise Enough(0)


def extrapolated(timed: Stopwatch, plan: RunPlan) -> tuple[float, float, int]:
    """Seconds of training, seconds of validations, and their number.

    Assumes that time is proportional to tokens, and in a validation to examples.
    """
    # Before the first step, at every interval, and after the last step.
    validations = 1 + -(-plan.total_steps // plan.settings.validation.interval)
    training = plan.total_steps * plan.steps.means()[1] * timed.seconds / timed.tokens
    validating = validations * timed.validation_seconds * len(plan.validation) / timed.validated
    return training, validating, validations


def dry_run(prepared: Prepared) -> None:
    """Log a run's plan and cost, and note the cost for the table of a sweep. Writes only caches that the run will use.

    A run of a sweep that needs one not trained yet (`match`, `init_from`) is noted at that run's cost.
    """
    settings = prepared.settings
    others = [settings.match] if settings.match else settings.init_from or []
    try:
        plan = plan_run(prepared)
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


def measure(plan: RunPlan) -> tuple[Stopwatch, InfillingModule]:
    """A few steps of a planned run, in a temporary folder; and the module after them.

    Raises: UserError if the run has too few steps to measure.
    """
    if plan.total_steps < WARM_UP + FEWEST:
        raise UserError(f"{plan.total_steps} steps are too few to measure: type at least {WARM_UP + FEWEST}")
    with tempfile.TemporaryDirectory(prefix="ilm-dry-run-") as name:
        folder, stopwatch = RunFolder(Path(name)), Stopwatch()
        settings = plan.settings.model_copy(
            update={
                "logger": None,
                "callbacks": None,
                "validation": plan.settings.validation.model_copy(update={"every_n_steps": WARM_UP}),
                "early_stopping": EarlyStopping(patience=None),
            }
        )
        trainer, validation = make_trainer(settings, folder.path), plan.validation[:VALIDATION_EXAMPLES]
        callbacks_of(trainer).append(stopwatch)
        trial = replace(plan, path=folder.path, settings=settings, trainer=trainer, validation=validation)
        module, level = InfillingModule.of(trial), log.level
        log.setLevel(logging.WARNING)  # its messages are those of a real run
        try:
            fit(trial, module, folder)
        except Enough:
            log.debug("measured")
        finally:
            log.setLevel(level)
        return stopwatch, module


def cost_sheet(plan: RunPlan) -> tuple[str, dict[str, float]]:
    """The cost sheet of a planned run as text, and its figures for the total of a sweep."""
    timed, module = measure(plan)
    training, validating, validations = extrapolated(timed, plan)
    seconds = training + validating
    parameters = [*module.parameters()]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    weights, gradients = _bytes([*parameters, *module.buffers()]), _bytes(trained)
    states = (value for state in module.optimizer.state.values() for value in state.values())
    optimizer = _bytes(value for value in states if isinstance(value, torch.Tensor))
    checkpoint, peak = weights + optimizer, peak_memory()
    disk = 2 * checkpoint + 2 * weights  # last.ckpt and previous.ckpt; best.ckpt and model/
    counts = [sum(parameter.numel() for parameter in of) for of in (parameters, trained)]
    processes = f" in each of {plan.steps.world_size} processes" if plan.steps.world_size > 1 else ""
    pretrained = plan.settings.model.pretrained and not plan.model.pretrained
    note = "; random weights of the same shape, as the pretrained ones are not available here" if pretrained else ""
    size = partial(tqdm.format_sizeof, suffix="B")
    lines = {
        "modules": "\n              ".join(module_lines(module.model)),
        "parameters": f"{counts[0]:,}" + (f", {counts[1]:,} trained" if counts[1] < counts[0] else ""),
        "memory": f"peak {size(peak)}{processes}: weights {size(weights)}, gradients {size(gradients)}, optimizer "
        f"{size(optimizer)}; the rest is activations, on a CPU also libraries and corpus",
        "disk": f"{size(disk)}: last.ckpt and previous.ckpt {size(checkpoint)} each, best.ckpt and model/ "
        f"{size(weights)} each; {size(disk + checkpoint)} while saving",
        "time": f"{duration(seconds)}: training {duration(training)}, {validations:,} validations "
        f"{duration(validating)} ({validating / seconds:.0%})",
        "measured": f"{timed.steps} steps after {WARM_UP}: {timed.seconds / timed.steps:.3g} s per step, "
        f"{timed.tokens / timed.seconds:,.0f} tokens/s, data loading included; {timed.validated} validation examples "
        f"in {timed.validation_seconds:.3g} s{note}",
        "assumed": "time is proportional to tokens, and nothing else uses this machine; saving is not counted",
    }
    summary = {"hours": seconds / 3600, "disk_gib": disk / GIB, "memory_gib": peak / GIB}
    return "\n".join(f"  {key:<11} {value}" for key, value in lines.items()), summary


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
