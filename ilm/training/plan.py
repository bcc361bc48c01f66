"""One training run from a plain configuration: what it will do, doing it, what came out.

1. `Run.plan` opens corpus, masks and tokens, counts examples and steps; nothing is written but caches.
2. `ilm.training.fit.train_in` fits, from the last checkpoint where there is one, and exports the model.
3. `report` says what came out.
"""

import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from ilm.cli.main import in_submitted_sweep
from ilm.config.train import Train
from ilm.corpus.store import corpus_arguments
from ilm.errors import UserError
from ilm.hardware import is_first_process
from ilm.models.loading import initial_model, pretrained_model, without_hub
from ilm.models.lora import add_lora
from ilm.models.scoring import KINDS, perplexity
from ilm.reference.models import write_reference_model
from ilm.runs.folder import RunFolder
from ilm.runs.identity import run_identity, run_name, run_variant
from ilm.runs.trained_model import holds_model
from ilm.training.batch_plan import StepPlan
from ilm.training.controls import Match, comparison_lines, matched
from ilm.training.preparation import Material, RunExamples, run_material, total_steps, validation_interval
from ilm.training.trainer import processes_start_together, require_optimizer, world_size

if TYPE_CHECKING:
    from peft import PeftModel

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class Run:
    """A run that is planned: `record` is what its folder keeps of the settings, `match` the specialist's part."""

    name: str
    path: Path
    settings: Train
    record: dict[str, Any]
    identity: dict[str, Any]
    material: Material
    steps: StepPlan
    total_steps: int
    match: Match | None

    @classmethod
    def plan(cls, settings: Train) -> "Run":
        """Plan a run.

        Raises: UserError if the corpus or its masks are not prepared, a level lacks a split, or the model cannot be
        reached.
        """
        require_optimizer(settings["optimizer"])
        material, data = run_material(without_hub(settings)), settings["data"]
        max_tokens = data["max_tokens_per_batch"]
        steps = StepPlan(
            material.order,
            material.train,
            batch_size=data["batch_size"] if max_tokens is None else None,
            max_tokens=max_tokens,
            block_tokens=data.block_tokens,
            accumulate=settings["trainer"]["accumulate_grad_batches"],
            world_size=world_size(settings["trainer"]),
        )
        if steps.world_size > 1 and in_submitted_sweep():
            raise UserError(
                f"{steps.world_size} processes a run in launcher=submitit_local: each would start the whole sweep "
                "again. Type launcher=local or launcher=parallel, which give every run a command of its own."
            )
        match = matched(settings, material, steps) if settings["match"] else None
        name = run_name(settings)
        path = Path(settings["paths"]["experiments"]) / name
        if settings["overwrite"] and steps.world_size > 1 and processes_start_together():
            raise UserError(
                f"overwrite=true with {steps.world_size} processes that start together: some would go on with what the "
                f"first one deletes. Delete {path} before, or type name=... for another run."
            )
        max_steps, max_epochs = (settings["trainer"][key] for key in ("max_steps", "max_epochs"))
        total = match.step if match else total_steps(max_steps, max_epochs, steps)
        interval = validation_interval(settings["validation"]["every_n_steps"], total)
        # Part of the identity as a number: a run that grows would otherwise change its interval in the middle.
        validation = settings.validation.model_copy(update={"every_n_steps": interval})
        settings = settings.model_copy(update={"validation": validation})
        record = {
            **settings.model_dump(),
            "experiment_name": run_variant(settings),
            "token_store": material.token_store,
        }
        made_of = {**material.identity, "matched": match and match.targets}
        return cls(
            name,
            path,
            settings,
            record,
            run_identity(record, made_of, steps.size),
            material,
            steps,
            total,
            match,
        )

    @property
    def examples(self) -> RunExamples:
        return self.material.examples

    @property
    def validation_interval(self) -> int:
        """Optimizer steps between validations."""
        return self.settings["validation"]["every_n_steps"]

    def sheet(self) -> str:
        """What the run will do, for a person."""
        train, valid = self.examples.train, self.examples.valid
        share = self.steps.epochs_until(self.total_steps)
        optimizer, trainer = self.settings["optimizer"], self.settings["trainer"]
        return (
            f"run {self.name} in {self.path}\n"
            f"  corpus      {self.examples.corpus.name}, {self.settings['cefr_level']['name']}: "
            f"{len(train.documents):,} train and {len(valid.documents):,} valid documents\n"
            f"  examples    {len(train):,} of on average {train.n_tokens / len(train):.1f} tokens; "
            f"{train.dropped:,} dropped (two spans share a token), {train.cut:,} cut at {train.max_length} tokens\n"
            f"  validation  {len(self.examples.validation):,} examples every "
            f"{self.validation_interval:,} steps\n"
            f"  steps       {self.total_steps:,} of {self.steps.description()}: "
            f"{share:.1%} of an epoch" + (f" ({share:.2f} epochs)" if share > 1 else "") + "\n"
            f"  optimizer   {optimizer['_target_'].rpartition('.')[2]}, learning rate {optimizer['lr']:g}, "
            f"{self.settings['schedule']['shape']}; {trainer['accelerator']}, {trainer['precision']}"
        ) + comparison_lines(self.settings, self.material, self.match, self.steps, self.total_steps)

    def finished_in(self, folder: RunFolder) -> bool:
        """Whether the run in `folder` has done all its steps (or stopped early) and exported its model."""
        status = folder.status
        if status.get("state") != "finished" or not (status["step"] >= self.total_steps or status["stopped_early"]):
            return False
        if not holds_model(folder.model):
            log.warning("%s is damaged or gone: it is made again", folder.model)
            return False
        return True

    def report(self, folder: RunFolder) -> dict[str, float]:
        """Log the validation figures of the best weights, beside those before training; return them.

        Where asked for, the model is written in the reference's format as well. Of several processes only the first
        knows the figures and writes; the others return nothing.
        """
        status = folder.status
        if not is_first_process() or status["state"] != "finished":
            return {}
        if self.settings["export_reference"]:
            best = pretrained_model(str(folder.model))
            write_reference_model(best, self.examples.vocabulary, status["best"]["step"], folder.path / "reference")
        first, best = status["first"], status["best"]
        log.info("validation perplexity on %d examples:", len(self.examples.validation))
        log.info("  %-16s %12s %12s", "", f"step {first['step']}", f"best, step {best['step']}")
        for kind in KINDS:
            shown = ("-" if losses[kind] is None else f"{perplexity(losses[kind]):.2f}" for losses in (first, best))
            log.info("  %-16s %12s %12s", kind, *shown)
        log.info("model: %s; the same figures: %s", folder.model, self._evaluation_command())
        return dict(best)

    def _evaluation_command(self) -> str:
        """What to type to score the validation examples again."""
        settings = self.settings
        arguments = [
            *corpus_arguments(self.examples.corpus.name).split(),
            f"cefr={settings['cefr_level']['name']}",
            f"models={self.name}",
            "task.split=valid",
            f"task.max_examples={len(self.examples.validation)}",
        ]
        for key, value, default in (
            ("max_length", settings["data"]["max_length"], 256),
            ("masks_per_document", settings["masking"]["masks_per_document"], 16),
        ):
            arguments += [f"task.{key}={value}"] if value != default else []
        for key in ("data", "experiments"):
            path = settings["paths"][key]
            arguments += [f"paths.{key}={path}"] if path != key else []
        return shlex.join(["python", "evaluate.py", *arguments])

    def initial_model(self) -> tuple[PreTrainedModel, "PeftModel | None"]:
        """What is trained, and the handle of its adapter where it has one."""
        material, vocabulary, seed = self.material, self.examples.vocabulary, self.settings["seed"]
        model = initial_model(material.model, vocabulary, seed, new_rows=material.new_rows)
        adapter = self.settings["adapter"]
        return model, add_lora(model, adapter, vocabulary, seed) if adapter is not None else None
