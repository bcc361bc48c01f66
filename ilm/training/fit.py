"""Trains in a run folder, from its newest intact checkpoint or from the start, and exports the model.

1. The newest intact checkpoint is found; best.ckpt is restored if a kill left it out of date.
2. The model is trained, unless all steps are done.
3. The weights with the lowest validation infill loss are exported.

After a kill at any point, the same command resumes.
"""

import logging
import shlex
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate

from ilm.corpus.store import corpus_arguments
from ilm.examples.conditions import store_condition
from ilm.hardware import is_first_process, starting_others
from ilm.models.loading import pretrained_model, save_model
from ilm.models.lora import merged
from ilm.models.packing import row_length
from ilm.models.scoring import KINDS, perplexity, score
from ilm.reference.models import write_reference_model
from ilm.runs.folder import RunFolder
from ilm.runs.model_card import write_model_card
from ilm.runs.trained_model import holds_model
from ilm.training.callbacks.checkpoints import (
    Checkpoints,
    best_weights,
    find_checkpoint,
    load_checkpoint,
    restore_best,
)
from ilm.training.callbacks.metrics import Metrics
from ilm.training.callbacks.nonfinite import NonFiniteReport
from ilm.training.callbacks.status import StatusReporter, losses_as_json
from ilm.training.callbacks.stop_signals import StopSignals
from ilm.training.callbacks.validation import Validation
from ilm.training.datamodule import InfillingDataModule
from ilm.training.errors import failures_recorded
from ilm.training.lightning import callbacks_of
from ilm.training.module import InfillingModule
from ilm.training.plan import RunPlan

log = logging.getLogger("ilm")


def is_finished(plan: RunPlan, folder: RunFolder) -> bool:
    """Whether the run in `folder` did all its steps (or stopped early) and exported its model."""
    status = folder.status
    if status.get("state") != "finished" or not (status["step"] >= plan.total_steps or status["stopped_early"]):
        return False
    if not holds_model(folder.model):
        log.warning("%s is damaged or missing and will be exported again", folder.model)
        return False
    return True


def fit(plan: RunPlan, module: InfillingModule, folder: RunFolder) -> None:
    """Train `module` from the last checkpoint in `folder`, or from the start, and export the best model.

    Raises: UserError if all checkpoints are damaged, or disk or memory is exhausted; SystemExit with 128 + signal
    if a signal stopped it.
    """
    settings, trainer = plan.settings, plan.trainer
    signals = StopSignals(saving=not settings.dry_run)
    with signals.listening(), failures_recorded(folder, settings):
        validation = Validation(
            every_n_steps=settings.validation.interval,
            patience=settings.early_stopping.patience,
            stop_requested=lambda: signals.received is not None,
        )
        metrics = Metrics(plan.levels, settings.trainer.log_every_n_steps, lambda: validation.seconds)
        checkpoint = find_checkpoint(folder)
        state: dict[str, Any] = load_checkpoint(checkpoint) if checkpoint else {"global_step": 0}
        done = state["global_step"]
        if checkpoint:
            for callback in (validation, metrics):
                callback.load_state_dict(state["callbacks"][callback.state_key])
            restore_best(folder, done, validation)
            log.info("resuming from step %d (%s)", done, checkpoint)
        if is_first_process():
            folder.set_status(state="planned", step=done, total_steps=plan.total_steps, reason=None)
        if done < plan.total_steps and not validation.stopped:
            status = StatusReporter(folder, metrics, validation, plan.total_steps)
            # Loggers remove later records, which a killed run wrote after its last checkpoint.
            options = {"save_dir": str(folder.path), "purge_step": done + 1 if checkpoint else 0}
            trainer.loggers = [instantiate(node)(**options) for node in (settings.logger or {}).values()]
            report_nonfinite = NonFiniteReport(plan.corpus.documents["writing_id"].array)
            callbacks: list[pl.Callback] = [signals, report_nonfinite, metrics, validation]
            if not settings.dry_run:
                minutes = settings.checkpoint.every_n_minutes
                callbacks += [status, Checkpoints(folder, signals, validation, minutes, on_saved=status.write)]
            callbacks_of(trainer)[:0] = callbacks
            with starting_others():
                data = InfillingDataModule(plan, done)
                trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            done = trainer.global_step
        elif checkpoint:  # only the export is missing
            module.load_state_dict(state["state_dict"])
        else:  # a run of 0 steps
            validation.first = validation.last = {"step": 0, **_validation_losses(plan, module)}
        if is_first_process():
            _export(plan, folder, module, validation, metrics, done)
        trainer.strategy.barrier("exported")


def _validation_losses(plan: RunPlan, module: InfillingModule) -> dict[str, float]:
    data, device = plan.settings.data, module.device
    examples = plan.valid.lay_out(plan.validation)
    return score(module.model, examples, row_length(data.row_tokens, device, plan.valid.max_tokens), device).losses()


def _export(
    plan: RunPlan,
    folder: RunFolder,
    module: InfillingModule,
    validation: Validation,
    metrics: Metrics,
    step: int,
) -> None:
    """Write the best weights to model/; if they are lost, or there were no steps, the weights of `module`."""
    weights, best = best_weights(folder, validation) if step else None, validation.best
    if weights is None:
        best = validation.last
    else:
        module.load_state_dict(weights)
    adapted = module.adapted
    model = module.model if adapted is None else merged(adapted, folder.path / "adapter")
    store_condition(model.config, plan.condition)
    save_model(model, plan.vocabulary, folder.model)
    folder.set_status(
        state="finished",
        step=step,
        total_steps=plan.total_steps,
        stopped_early=step < plan.total_steps,
        seconds_left=0,
        first=losses_as_json(validation.first),
        best=losses_as_json(best),
        matched=plan.match and plan.match.record(),
        targets_inherited=plan.initial and plan.initial.targets_seen,
        targets_seen=metrics.targets_by_level(),
    )
    write_model_card(folder, plan.corpus.manifest)


def report(plan: RunPlan, folder: RunFolder) -> dict[str, float]:
    """Log the validation losses before training and of the best weights; return the latter.

    With `export_reference`, also write the model in the reference's format. Only the first process does any of this;
    others return {}.
    """
    status = folder.status
    if not is_first_process() or status["state"] != "finished":
        return {}
    first, best = status["first"], status["best"]
    if plan.settings.export_reference:
        model = pretrained_model(str(folder.model))
        write_reference_model(model, plan.vocabulary, best["step"], folder.path / "reference")
    log.info("validation perplexity on %s examples:", f"{len(plan.validation):,}")
    log.info("  %-16s %12s %12s", "", f"step {first['step']}", f"best, step {best['step']}")
    for kind in KINDS:
        shown = ("-" if losses[kind] is None else f"{perplexity(losses[kind]):,.2f}" for losses in (first, best))
        log.info("  %-16s %12s %12s", kind, *shown)
    log.info("model: %s; to reproduce these figures: %s", folder.model, evaluation_command(plan))
    return dict(best)


def evaluation_command(plan: RunPlan) -> str:
    """The command that scores the same validation examples."""
    settings = plan.settings
    arguments = [
        *corpus_arguments(plan.corpus.name).split(),
        f"cefr={settings.cefr_level.name}",
        f"models={plan.name}",
        "task.split=valid",
        f"task.max_examples={len(plan.validation)}",
        f"task.max_length={settings.data.max_length}",
        f"task.masks_per_document={settings.masking.masks_per_document}",
    ]
    for key in ("data", "experiments"):
        path = getattr(settings.paths, key)
        arguments += [f"paths.{key}={path}"] if path != key else []
    return shlex.join(["python", "evaluate.py", *arguments])
