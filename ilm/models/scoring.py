"""Negative log-likelihoods of the targets of padding-free rows, and perplexities.

Training, validation and evaluation share one scoring function. `ilm.models.packed_attention` keeps attention within
each example. An architecture that does not accept another attention keeps its own, which does the same as long as there
is no attention mask, positions restart at 0 per example, and `use_cache=False`: with the default `use_cache=True` the
examples of a row silently see each other. `ilm.models.start_check` checks the model at hand.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ilm.examples.layout import Example, Examples, TargetType
from ilm.models.devices import compute_dtype
from ilm.models.loss import block_rows, linear_cross_entropy, plain_head
from ilm.models.packed_attention import boundary_arguments, replaced_attention
from ilm.models.packing import Row, pack

KINDS = ("context", "infill", "infill_textonly")


def row_loss(model: PreTrainedModel, row: Row, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum of the N targets' NLL times `weights` float32 (N,); their NLL in nats (N,), without gradient).

    The LM head runs at the targets' positions only, fused with the loss if the architecture allows.
    """
    head = plain_head(model)
    if head is None or compute_dtype(head.weight) == torch.float16:
        nll = target_nll(model, row)
        return (nll * weights).sum(), nll.detach()
    hidden = _forward(model, model.base_model, row).last_hidden_state[0, row.predictors]
    return linear_cross_entropy(hidden, head.weight, row.targets, weights)


def target_nll(model: PreTrainedModel, row: Row) -> torch.Tensor:
    """NLL in nats of each of the row's N targets, float32 (N,). The LM head runs at their positions only."""
    head = plain_head(model)
    if head is not None and not torch.is_grad_enabled():
        hidden = _forward(model, model.base_model, row).last_hidden_state[0, row.predictors]
        return linear_cross_entropy(hidden, head.weight, row.targets)[1]
    logits = _forward(model, model, row, logits_to_keep=row.predictors).logits[0]
    return cross_entropy(logits.float(), row.targets, reduction="none")


def target_logits(model: PreTrainedModel, row: Row) -> Iterator[torch.Tensor]:
    """The logits that predict the row's N targets: float32 (block, V), a block at a time."""
    head = plain_head(model)
    if head is None:
        yield _forward(model, model, row, logits_to_keep=row.predictors).logits[0].float()
        return
    hidden = _forward(model, model.base_model, row).last_hidden_state[0, row.predictors]
    for part in hidden.split(block_rows(head.weight)):
        yield head(part).float()


def forward_module(model: PreTrainedModel) -> torch.nn.Module:
    """The part of the model whose forward pass training runs: the body if the head is fused with the loss."""
    return model if plain_head(model) is None else model.base_model


def _forward(model: PreTrainedModel, part: torch.nn.Module, row: Row, **arguments: Any) -> Any:
    """The output of `part`, the model or its body, for a row."""
    with replaced_attention(model) as within_boundaries:
        if within_boundaries:
            arguments |= boundary_arguments(row.boundaries, row.longest)
        return part(input_ids=row.input_ids, position_ids=row.position_ids, use_cache=False, **arguments)


def of_kind(target_types: Any, kind: str) -> Any:
    """Which targets count towards a perplexity: `context`, `infill` or `infill_textonly`, the paper's headline.

    `target_types` is a tensor or array; the result is a boolean one of the same shape. The copied document of the other
    objectives (INFILL_REDUNDANT) counts in the training loss, but in no perplexity.
    """
    if kind == "context":
        return target_types == TargetType.CONTEXT
    textonly = target_types == TargetType.INFILL
    return textonly if kind == "infill_textonly" else textonly | (target_types == TargetType.INFILL_SPECIAL)


def perplexity(loss: float) -> float:
    """exp(loss) of a mean NLL in nats; infinity if it overflows a float, NaN for NaN."""
    return math.exp(loss) if not loss > 700 else math.inf


@dataclass
class TargetScores:
    """A model's scores of M targets of many examples, in the order of the examples.

    `nll` float64 (M,) in nats; `target_types` uint8 (M,); `examples` int64 (M,).
    """

    nll: np.ndarray
    target_types: np.ndarray
    examples: np.ndarray

    def total(self, kind: str) -> tuple[float, int]:
        """(sum of NLL, number of targets) of a kind."""
        counted = of_kind(self.target_types, kind)
        return float(self.nll[counted].sum()), int(counted.sum())

    def losses(self) -> dict[str, float]:
        """Mean NLL in nats of each kind over all targets, divided once; NaN for a kind without targets."""
        totals = {kind: self.total(kind) for kind in KINDS}
        return {kind: total / count if count else float("nan") for kind, (total, count) in totals.items()}


@torch.inference_mode()
def score(
    model: PreTrainedModel, examples: Examples | Sequence[Example], row_tokens: int, device: torch.device
) -> TargetScores:
    """Score every target of `examples`, in rows of at most `row_tokens` tokens, with the model in eval mode."""
    was_training = model.training
    model.eval()
    scores = score_rows(model, (row.to(device) for row in pack(examples, row_tokens)))
    model.train(was_training)
    return scores


def score_rows(model: PreTrainedModel, rows: Iterable[Row]) -> TargetScores:
    """Score every target of rows on the model's device, with the model in its current mode."""
    parts = []
    for row in rows:
        nll = target_nll(model, row).cpu().double().numpy()
        parts.append((nll, row.target_types.cpu().numpy(), row.examples.cpu().numpy()))
    if not parts:
        return TargetScores(*(np.zeros(0, dtype) for dtype in (np.float64, np.uint8, np.int64)))
    return TargetScores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
