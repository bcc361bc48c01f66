"""The LightningModule: the loss of an optimizer step, and the optimizer."""

import math
from collections.abc import Callable, Iterable

import pytorch_lightning as pl
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

from ilm.examples.layout import TargetType
from ilm.hashing import order_key
from ilm.training.batching import MicroBatch
from ilm.training.scoring import require_separate_examples, target_nll


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient became NaN or infinite; the update was not made."""


class InfillingModule(pl.LightningModule):
    """Trains a causal LM on padding-free micro-batches.

    The loss of an optimizer step is the NLL summed over its context targets, divided by their number in the step,
    plus the same for the infill targets (INFILL, INFILL_SPECIAL, INFILL_REDUNDANT); a kind without targets adds 0.
    Every micro-batch knows the step's totals, so however a step is divided over micro-batches and ranks, its
    gradient is the same. `make_optimizer` takes the parameters; `shape` and `warmup_steps` give the learning rate
    (`learning_rate_factor`) over `total_steps` optimizer steps.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        make_optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer],
        *,
        shape: str,
        warmup_steps: int,
        total_steps: int,
        seed: int,
    ):
        super().__init__()
        self.model = model
        self.make_optimizer = make_optimizer
        self.shape, self.warmup_steps, self.total_steps, self.seed = shape, warmup_steps, total_steps, seed
        self.gradient_norm = self.learning_rate = float("nan")
        # NLL sums of the last micro-batch, (context, infill), for the metrics.
        self.nll_sums = torch.zeros(2)

    def on_fit_start(self) -> None:
        require_separate_examples(self.model)
        self.model.train()

    def training_step(self, batch: MicroBatch, batch_idx: int) -> torch.Tensor:
        # Dropout is a pure function of (seed, micro-batch, rank): a resumed run draws what the whole run would have.
        torch.manual_seed(order_key(self.seed, "dropout", batch.index, self.global_rank) % 2**63)
        sums = torch.zeros(2, device=self.device)
        for row in batch.rows:
            nll = target_nll(self.model, row)
            context = row.target_types == TargetType.CONTEXT
            sums = sums + torch.stack([nll[context].sum(), nll[~context].sum()])
        totals = torch.tensor(
            [max(batch.step.context_targets, 1), max(batch.step.infill_targets, 1)], device=self.device
        )
        loss = (sums / totals).sum()
        if not batch.rows:
            # No target here (a last partial step has fewer examples than micro-batches): a zero with a gradient.
            loss = sum(parameter.sum() for parameter in self.parameters()) * 0.0
        self.nll_sums = sums.detach()
        if not math.isfinite(loss.item()):
            raise NonFiniteLoss(
                f"The loss is {loss.item()} at optimizer step {self.global_step}; the model was not updated. Lower "
                "optimizer.lr, or use trainer.precision=32-true"
            )
        self.log("loss", loss.detach(), prog_bar=True, logger=False, batch_size=len(batch.numbers))
        # Lightning divides by the accumulated micro-batches, DDP by the ranks; the totals have done that already.
        return loss * (self.trainer.accumulate_grad_batches * self.trainer.world_size)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        limit = gradient_clip_val or float("inf")
        # Here, since Lightning moves the schedule on before a callback sees the end of the step.
        self.learning_rate = optimizer.param_groups[0]["lr"]
        self.gradient_norm = torch.nn.utils.clip_grad_norm_(self.parameters(), limit).item()
        if not math.isfinite(self.gradient_norm):
            raise NonFiniteLoss(
                f"The gradient's norm is {self.gradient_norm} at optimizer step {self.global_step}; the model was not "
                "updated. Lower optimizer.lr, or use trainer.precision=32-true"
            )

    def configure_optimizers(self):
        optimizer = self.make_optimizer(self.parameters())
        schedule = LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, self.shape, self.warmup_steps, self.total_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def learning_rate_factor(step: int, shape: str, warmup_steps: int, total_steps: int) -> float:
    """The factor on the learning rate for optimizer step `step` (from 0): a linear warm-up, then `shape`.

    `constant` stays at 1; `linear` and `cosine` fall to 0 at `total_steps`.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return {"constant": 1.0, "linear": 1.0 - done, "cosine": (1.0 + math.cos(math.pi * done)) / 2.0}[shape]
