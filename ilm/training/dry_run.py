"""The cost of a run (`dry_run=true`): hours, memory and disk, from a few of its own steps on this machine.

1. The run is started in a temporary folder with its model, data, loader and precision, but without loggers.
2. `ilm.training.callbacks.stopwatch` times one validation of a few examples and some steps, then ends it.
3. Hours scale with tokens; the disk follows from the sizes of weights and optimizer.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ilm.cli.sweep import is_recorded, note
from ilm.config.train import Checkpoint, EarlyStopping, Train
from ilm.errors import UserError
from ilm.files import readable_size
from ilm.progress import duration
from ilm.runs.folder import RunFolder
from ilm.runs.identity import run_name
from ilm.training.callbacks.stopwatch import FEWEST, WARM_UP, Enough, Measured, Stopwatch
from ilm.training.fit import fit
from ilm.training.lightning import callbacks_of
from ilm.training.module import InfillingModule
from ilm.training.plan import RunPlan, plan_run
from ilm.training.trainer import make_trainer

log = logging.getLogger("ilm")

VALIDATION_EXAMPLES = 32
GIB = 2**30
# The cost of a run without steps, apart from its weights.
NOTHING = {"hours": 0.0, "disk_gib": 0.0, "memory_gib": 0.0}


@dataclass(frozen=True)
class Cost:
    """The cost of a run in seconds and bytes: `disk` at its end, `most_disk` while it saves."""

    training_seconds: float
    validation_seconds: float
    validations: int
    checkpoint: int
    disk: int
    most_disk: int

    @property
    def seconds(self) -> float:
        return self.training_seconds + self.validation_seconds


def cost_of(
    measured: Measured,
    *,
    total_steps: int,
    tokens_per_step: float,
    validation_interval: int,
    validation_examples: int,
) -> Cost:
    """The cost of `total_steps` optimizer steps of `tokens_per_step` tokens on average.

    Assumes that time is proportional to tokens, and in a validation to examples.
    """
    # Before the first step, at every interval, and after the last step.
    validations = 1 + -(-total_steps // validation_interval)
    validated = validations * validation_examples / measured.validation_examples
    checkpoint = measured.weights + measured.optimizer
    disk = 2 * checkpoint + 2 * measured.weights  # last.ckpt and previous.ckpt; best.ckpt and model/
    return Cost(
        training_seconds=total_steps * tokens_per_step * measured.seconds / measured.tokens,
        validation_seconds=validated * measured.validation_seconds,
        validations=validations,
        checkpoint=checkpoint,
        disk=disk,
        most_disk=disk + checkpoint,  # written before the oldest is removed
    )


def dry_run(settings: Train) -> None:
    """Log a run's plan and cost, note the cost for the table of a sweep, and leave nothing behind.

    A run of a sweep that needs one not trained yet (`match`, `init_from`) is noted at that run's cost.
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
    """Settings for a temporary copy of the corpus made of links: caches in it are used, new ones vanish with it."""
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
    """A few steps of a planned run, in a temporary folder.

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
                "checkpoint": Checkpoint(every_n_minutes=1e9),
            }
        )
        trainer, validation = make_trainer(settings, folder.path), plan.validation[:VALIDATION_EXAMPLES]
        callbacks_of(trainer).append(stopwatch)
        trial = replace(plan, path=folder.path, settings=settings, trainer=trainer, validation=validation)
        level = log.level
        log.setLevel(logging.WARNING)  # its messages are those of a real run
        try:
            fit(trial, InfillingModule.of(trial), folder)
        except Enough:
            log.debug("measured")
        finally:
            log.setLevel(level)
        assert stopwatch.measured is not None  # the run has enough steps
        return stopwatch.measured


def cost_sheet(plan: RunPlan) -> tuple[str, dict[str, float]]:
    """The cost sheet of a planned run as text, and its figures for the total of a sweep."""
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
    note = "; random weights of the same shape, as the pretrained ones are not available here" if pretrained else ""
    lines = {
        "modules": "\n              ".join(found.modules),
        "parameters": f"{found.parameters:,}{trained}",
        "memory": f"peak {peak}{processes}: weights {weights}, gradients {gradients}, optimizer {optimizer}; "
        "the rest is activations, on a CPU also libraries and corpus",
        "disk": f"{readable_size(cost.disk)}: last.ckpt and previous.ckpt {checkpoint} each, best.ckpt and model/ "
        f"{weights} each; {readable_size(cost.most_disk)} while saving",
        "time": f"{duration(cost.seconds)}: training {duration(cost.training_seconds)}, {cost.validations} "
        f"validations {duration(cost.validation_seconds)} ({cost.validation_seconds / cost.seconds:.0%})",
        "measured": f"{found.steps} steps after {WARM_UP}: {found.seconds / found.steps:.3g} s per step, "
        f"{found.tokens / found.seconds:,.0f} tokens/s, data loading included; {found.validation_examples} validation "
        f"examples in {found.validation_seconds:.3g} s; {found.device}{note}",
        "assumed": "time is proportional to tokens, and nothing else uses this machine; saving is not counted",
    }
    summary = {"hours": cost.seconds / 3600, "disk_gib": cost.disk / GIB, "memory_gib": found.peak_memory / GIB}
    return "\n".join(f"  {key:<11} {value}" for key, value in lines.items()), summary
