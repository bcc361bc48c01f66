"""The LightningModule: loss, optimizer and learning-rate schedule."""

import math
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

from ilm.config.train import Schedule
from ilm.errors import UserError
from ilm.examples.layout import TargetType
from ilm.hashing import order_key
from ilm.models.devices import compile_in_place, with_fused_activations
from ilm.models.loading import average_weights, initial_model
from ilm.models.lora import add_lora
from ilm.models.packing import Row
from ilm.models.scoring import KINDS, forward_module, perplexity, row_loss, score_rows
from ilm.models.start_check import require_separate_examples
from ilm.training.callbacks.nonfinite import NonFiniteLoss
from ilm.training.lightning import mean_losses
from ilm.training.micro_batches import MicroBatch

if TYPE_CHECKING:
    from peft import PeftModel

    from ilm.training.plan import RunPlan


class InfillingModule(pl.LightningModule):
    """Trains a causal LM on padding-free micro-batches.

    The loss of an optimizer step is the mean NLL of its context targets plus that of its infill targets (INFILL,
    INFILL_SPECIAL, INFILL_REDUNDANT); a kind without targets adds 0. Every micro-batch carries the step's target
    totals, so the gradient does not depend on how the step is divided into micro-batches and ranks.

    `schedule`: the learning rate (`learning_rate_factor`) over `total_steps` optimizer steps. `compiled`: apply
    torch.compile to the model. `adapted`: the model with its adapter (`ilm.models.lora`).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: torch.optim.Optimizer,
        *,
        schedule: Schedule,
        total_steps: int,
        seed: int,
        compiled: bool = False,
        adapted: "PeftModel | None" = None,
    ):
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self.schedule, self.total_steps, self.seed = schedule, total_steps, seed
        self.compiled = compiled
        self._adapted = (adapted,)  # in a tuple, since a submodule would be saved twice
        self.gradient_norm = self.learning_rate = float("nan")
        # NLL sums (context, infill) of the last micro-batch, for the metrics.
        self.nll_sums = torch.zeros(2)
        # Sums of NLL and numbers of targets (kind, 2) of a validation or test.
        self._scored = torch.zeros(len(KINDS), 2, dtype=torch.float64)
        self._step_loss: Any = 0.0  # a tensor after the first row

    @classmethod
    def of(cls, plan: "RunPlan") -> "InfillingModule":
        """The model of a planned run before its first step, with its optimizer.

        Raises: UserError if the optimizer rejects its arguments, or as `ilm.models.loading.initial_model`.
        """
        settings, adapted = plan.settings, None
        model = initial_model(plan.model, plan.vocabulary, settings.seed, new_rows=plan.new_rows)
        if plan.initial is not None:
            average_weights(model, plan.initial.folders)
        if settings.adapter is not None:
            adapted = add_lora(model, settings.adapter, plan.vocabulary, settings.seed)
        node, trained = settings.optimizer, [weight for weight in model.parameters() if weight.requires_grad]
        try:
            optimizer = instantiate(node.model_dump())(trained)
        except (InstantiationException, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{node.target} rejects its arguments: {str(error).splitlines()[0]}") from error
        return cls(
            model,
            optimizer,
            schedule=settings.schedule,
            total_steps=plan.total_steps,
            seed=settings.seed,
            compiled=settings.compile,
            adapted=adapted,
        )

    def on_fit_start(self) -> None:
        if self.device.type == "cuda":
            with_fused_activations(self.model)
        require_separate_examples(self.model)
        if self.compiled:
            compile_in_place(forward_module(self.model), self.device)
        self.model.train()

    def training_step(self, batch: MicroBatch, batch_idx: int) -> torch.Tensor:
        # Dropout is a pure function of (seed, micro-batch, rank), so resuming does not change it.
        torch.manual_seed(order_key(self.seed, "dropout", batch.index, self.global_rank) % 2**63)
        # In bf16-true the default dtype is bfloat16, too coarse for sums and divisors.
        exactly: dict[str, Any] = {"dtype": torch.float32, "device": self.device}
        sums = torch.zeros(2, **exactly)
        # Without targets (a partial step may have fewer examples than micro-batches): a zero with a gradient.
        loss: Any = sum(parameter.flatten()[:0].sum() for parameter in self.parameters()) if not batch.rows else None
        # Undoes Lightning's division by micro-batches and DDP's by ranks: the step's totals already normalise the loss.
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size
        of_context, of_infill = (
            torch.full((), 1 / max(targets, 1), **exactly)
            for targets in (batch.step.context_targets, batch.step.infill_targets)
        )
        for row in batch.rows:
            if loss is not None:
                self._backward(loss / self.trainer.accumulate_grad_batches)
            context = row.target_types == TargetType.CONTEXT
            row_sum, nll = row_loss(self.model, row, torch.where(context, of_context, of_infill))
            self._step_loss = self._step_loss + row_sum.detach()
            # Checking the loss here would synchronise with the GPU at every row. Instead, a non-finite loss makes the
            # whole gradient NaN on all ranks, which is checked at the end of the step.
            loss = row_sum * torch.where(row_sum.detach().isfinite(), scale, math.nan)
            sums = sums + torch.stack([nll.where(context, 0.0).sum(), nll.where(~context, 0.0).sum()])
        self.nll_sums = sums
        return loss  # of the last row

    def _backward(self, loss: torch.Tensor) -> None:
        """Backward pass of one row before the next one's forward pass, to keep only one row's activations."""
        with torch.autocast(self.device.type, enabled=False):
            self.trainer.strategy.backward(loss, None)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        self.optimizer.zero_grad()

    def optimizer_zero_grad(self, *arguments: Any, **options: Any) -> None:
        """Does nothing: Lightning calls it after `training_step`, which has already accumulated gradients."""

    def on_validation_epoch_start(self) -> None:
        self._scored = torch.zeros(len(KINDS), 2, dtype=torch.float64)

    def validation_step(self, batch: tuple[Row, ...], batch_idx: int) -> None:
        scores = score_rows(self.model, batch)
        self._scored += torch.tensor([scores.total(kind) for kind in KINDS], dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        self._log_losses("valid")

    on_test_epoch_start, test_step = on_validation_epoch_start, validation_step

    def on_test_epoch_end(self) -> None:
        self._log_losses("test")

    def _log_losses(self, split: str) -> None:
        """Log SPLIT/KIND_loss (mean NLL in nats) and SPLIT/KIND_perplexity for each kind that has targets."""
        for kind, loss in mean_losses(self._scored, self.trainer, self.device).items():
            if not math.isnan(loss):
                values = {f"{split}/{kind}_loss": loss, f"{split}/{kind}_perplexity": perplexity(loss)}
                self.log_dict(values, sync_dist=True)  # the values are equal on all ranks

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        limit = gradient_clip_val or float("inf")
        # Read here, since Lightning advances the schedule before callbacks see the end of the step.
        self.learning_rate = optimizer.param_groups[0]["lr"]
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), limit)
        # The only synchronisation with the GPU in a step, before the update.
        loss, self.gradient_norm = torch.stack([self._step_loss.float(), norm.float()]).tolist()
        self._step_loss = 0.0
        if not math.isfinite(self.gradient_norm):
            self._require_finite(loss)

    def _require_finite(self, loss: float) -> None:
        """Stop before the update. All ranks have the same gradient, so they get here together.

        Raises: NonFiniteLoss, unless only the scaled float16 gradients overflowed: the scaler then skips the step and
        lowers the scale.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            loss = self.trainer.strategy.reduce(torch.tensor(loss, device=self.device), reduce_op="sum").item()
            if math.isfinite(loss):
                return
        what = f"The gradient's norm is {self.gradient_norm}" if math.isfinite(loss) else f"The loss is {loss}"
        raise NonFiniteLoss(
            f"{what} at optimizer step {self.global_step}; the model was not updated, and its checkpoints are intact. "
            "Lower optimizer.lr, add a warm-up (schedule.warmup_steps) or use trainer.precision=32-true: each is a new "
            "run (name=...)."
        )

    @property
    def adapted(self) -> "PeftModel | None":
        return self._adapted[0]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        scheduler = LambdaLR(self.optimizer, lambda step: learning_rate_factor(step, self.schedule, self.total_steps))
        return {"optimizer": self.optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def learning_rate_factor(step: int, schedule: Schedule, total_steps: int) -> float:
    """The factor on the learning rate at optimizer step `step` (from 0): a linear warm-up, then the schedule's shape.

    `constant` stays at 1; `linear` and `cosine` decay to 0 at `total_steps`.
    """
    warmup = schedule.warmup_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    return {"constant": 1.0, "linear": 1.0 - done, "cosine": (1.0 + math.cos(math.pi * done)) / 2.0}[schedule.shape]
