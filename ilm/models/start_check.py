"""Checks that a model can be trained: it is causal, and examples packed into one row score as they do alone.

`require_causal_rows` checks the model as loaded (float32, on the CPU) before anything is written;
`require_separate_examples` checks packing again on the training device, whose attention kernels are others.
"""

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ilm.errors import UserError
from ilm.examples.layout import Example, TargetType
from ilm.models.scoring import score

# The families (`model_type`) of which tests/models/test_start_check.py trains a small model.
FAMILIES = (
    *("gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"),
    *("gemma3_text", "phi", "phi3", "olmo", "olmo2", "smollm3", "granite", "starcoder2", "cohere", "persimmon"),
    *("biogpt", "ctrl"),
)
# As a share of the logits' standard deviation. Rounding is a thousandth of this; seeing a later token is ten times it.
LARGEST_DIFFERENCE = 1e-3
TOKENS = np.arange(2, 14, dtype=np.int32)
PAIR = [Example(part, np.full(6, TargetType.CONTEXT, dtype=np.uint8), 6) for part in (TOKENS[:6], TOKENS[6:])]


def require_causal_rows(model: PreTrainedModel) -> None:
    """Run the model on two tiny examples: alone, with another last token, and both in one row.

    Raises: UserError if a token sees later ones, examples in one row see each other, or the model fails.
    """
    was_training = model.training
    try:
        reason = _fault(model.eval())
    except Exception as error:  # whatever an unknown architecture raises
        reason = f"two examples in a row end in {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    model.train(was_training)
    if reason:
        raise cannot_be_trained(model, reason)


def cannot_be_trained(model: PreTrainedModel, reason: str) -> UserError:
    """The error for a model that does not work here."""
    return UserError(
        f"{type(model).__name__} (model_type {model.config.model_type}) cannot be trained here: {reason}. "
        f"Known to work: {', '.join(FAMILIES)}."
    )


@torch.no_grad()
def _fault(model: PreTrainedModel) -> str | None:
    ids = torch.tensor(TOKENS.reshape(2, 6), dtype=torch.int64, device=model.device)
    changed = ids.clone()
    changed[:, -1] = 1
    logits, after_change = (
        torch.cat([model(input_ids=one[None]).logits for one in some]).float() for some in (ids, changed)
    )
    largest = LARGEST_DIFFERENCE * float(logits.std())
    if not (logits - after_change)[:, :-1].abs().max() <= largest:
        return "a token sees those after it (an encoder, or is_decoder=false in its configuration)"
    alone = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").cpu().numpy()
    if not np.abs(score(model, PAIR, 12, model.device).nll - alone).max() <= largest:
        return "examples packed into one row without padding see each other (it ignores position_ids)"
    return None


def require_separate_examples(model: PreTrainedModel, max_difference: float = 1e-3) -> None:
    """Check that two tiny examples have the same NLL (to `max_difference` nats) in one row as in a row each.

    Raises: RuntimeError if they see each other, as in a model or library that ignores restarting positions.
    """
    together, apart = (score(model, PAIR, row_tokens, model.device).nll for row_tokens in (12, 6))
    difference = float(np.abs(together - apart).max())
    if not difference <= max_difference:
        raise RuntimeError(
            f"{type(model).__name__} lets the examples of one row see each other (NLL differs by {difference:.2g}): "
            "it cannot be trained padding-free with this version of transformers"
        )
