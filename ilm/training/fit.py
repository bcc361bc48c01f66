"""Training in a run folder, from wherever it stands there, to the exported model.

1. The newest whole checkpoint is found, and best.ckpt put right where a kill left it behind.
2. The model is trained, from that checkpoint or from the start; where all steps are done already this is left out.
3. The weights with the lowest validation infill loss are exported.

A kill in any of them leaves a folder with which the same command goes on.
"""

import logging
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from hydra.utils import instantiate

from ilm.hardware import is_first_process
from ilm.models.loading import save_model
from ilm.models.lora import merged
from ilm.runs.folder import RunFolder
from ilm.training.callbacks.checkpoints import Checkpoints, best_weights, load, mend_best, require_room, resumable
from ilm.training.callbacks.metrics import Metrics
from ilm.training.callbacks.nonfinite import NonFiniteReport
from ilm.training.callbacks.status import Progress, finite
from ilm.training.callbacks.stop_signals import StopSignals
from ilm.training.callbacks.validation import Validation
from ilm.training.datamodule import InfillingData
from ilm.training.errors import telling_failures
from ilm.training.module import InfillingModule
from ilm.training.plan import Run
from ilm.training.trainer import make_trainer

if TYPE_CHECKING:
    from peft import PeftModel

log = logging.getLogger("ilm")


def train_in(run: Run, folder: RunFolder) -> None:
    """Fit `run`, from the last checkpoint in `folder` where there is one, and export the best model.

    Raises: UserError if no checkpoint is whole, or there is no room (on the disk, in memory); SystemExit with
    128 + signal if it was asked to stop.
    """
    signals = StopSignals(saving=not run.settings["dry_run"])
    with signals.listening(), telling_failures(folder, run.settings):
        _train(run, folder, signals)


def _train(run: Run, folder: RunFolder, signals: StopSignals) -> None:
    settings = run.settings
    validation = Validation(
        every_n_steps=run.validation_interval,
        patience=settings["early_stopping"]["patience"],
        stop_asked=lambda: signals.received is not None,
    )
    metrics = Metrics(run.examples.levels, settings["trainer"]["log_every_n_steps"], lambda: validation.seconds)
    checkpoint, done = resumable(folder), 0
    if checkpoint is not None:
        state = load(checkpoint)
        done = state["global_step"]
        for callback in (validation, metrics):
            callback.load_state_dict(state["callbacks"][callback.state_key])
        mend_best(folder, done, validation)
        log.info("going on from step %d (%s)", done, checkpoint)
    if is_first_process():
        folder.set_status(state="planned", step=done, total_steps=run.total_steps, reason=None)
    model, adapted = run.initial_model()
    module = InfillingModule(
        model,
        instantiate(settings.optimizer.model_dump()),
        shape=settings["schedule"]["shape"],
        warmup_steps=settings["schedule"]["warmup_steps"],
        total_steps=run.total_steps,
        seed=settings["seed"],
        compiled=settings["compile"],
    )
    if not settings["dry_run"]:
        require_room(folder, module)
    if done >= run.total_steps or validation.stopped:
        # All that was missing is the export.
        module.load_state_dict(state["state_dict"])
        if is_first_process():
            _export(run, folder, module, adapted, validation, metrics, done)
        return
    progress = Progress(folder, metrics, validation, total_steps=run.total_steps)
    every_n_minutes = settings["checkpoint"]["every_n_minutes"]
    callbacks = [
        signals,
        NonFiniteReport(folder, run.examples.corpus.documents["writing_id"].array),
        metrics,
        validation,
        progress,
        Checkpoints(folder, signals, validation, every_n_minutes=every_n_minutes, on_saved=progress.write_status),
    ]
    trainer = make_trainer(settings, folder, callbacks, purge_step=done + 1 if checkpoint else 0)
    trainer.fit(module, datamodule=_data(run), ckpt_path=checkpoint, weights_only=True)
    if trainer.is_global_zero:
        _export(run, folder, module, adapted, validation, metrics, trainer.global_step)
    trainer.strategy.barrier("exported")


def _data(run: Run) -> InfillingData:
    valid, data = run.examples.valid, run.settings["data"]
    return InfillingData(
        run.material.train,
        [valid[int(number)] for number in run.examples.validation],
        plan=run.steps,
        total_steps=run.total_steps,
        row_tokens=data["row_tokens"],
        num_workers=data["num_workers"],
        level_codes=run.examples.level_codes,
        n_levels=len(run.examples.levels),
    )


def _export(
    run: Run,
    folder: RunFolder,
    module: pl.LightningModule,
    adapted: "PeftModel | None",
    validation: Validation,
    metrics: Metrics,
    step: int,
) -> None:
    """Write the best weights to model/; where they are lost, those that `module` has after its last step."""
    weights, best = best_weights(folder, validation), validation.best
    if weights is None:
        best = validation.last
    else:
        module.load_state_dict(weights)
    model = merged(adapted, folder.path / "adapter") if adapted is not None else module.model
    save_model(model, run.examples.vocabulary, folder.model)
    folder.set_status(
        state="finished",
        step=step,
        total_steps=run.total_steps,
        stopped_early=step < run.total_steps,
        seconds_left=0,
        first={key: finite(value) for key, value in validation.first.items()},
        best={key: finite(value) for key, value in best.items()},
        matched=run.match and run.match.record(),
        targets_seen=dict(zip(run.examples.levels, metrics.targets_seen.tolist(), strict=True)),
    )
