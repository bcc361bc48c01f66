"""Whether a model can be trained here: it writes from left to right, and rows without padding score as examples alone.

Asked once, before anything is written, of the model as it was loaded: float32, on the CPU.
"""

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ilm.errors import UserError
from ilm.examples.layout import Example, TargetType
from ilm.models.scoring import score

# The families (`model_type`) that tests/models/test_start_check.py trains a small model of.
FAMILIES = (
    *("gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"),
    *("gemma3_text", "phi", "phi3", "olmo", "olmo2", "smollm3", "granite", "starcoder2", "cohere", "persimmon"),
    *("biogpt", "ctrl"),
)
# Of the spread of its logits: rounding is a thousandth of it, what a token sees of a later one ten times as much.
LARGEST_DIFFERENCE = 1e-3


def require_causal_rows(model: PreTrainedModel) -> None:
    """Try the model on two tiny examples: alone, with another last token, and both in one row.

    Raises: UserError if a token sees those after it, examples of one row see each other, or the model fails.
    """
    was_training = model.training
    try:
        reason = _fault(model.eval())
    except Exception as error:  # whatever a foreign architecture raises
        reason = f"two examples in a row end in {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    model.train(was_training)
    if reason:
        raise cannot_be_trained(model, reason)


def cannot_be_trained(model: PreTrainedModel, reason: str) -> UserError:
    """The one message for a model that is none of those that work here."""
    return UserError(
        f"{type(model).__name__} (model_type {model.config.model_type}) cannot be trained here: {reason}. "
        f"Seen to work: {', '.join(FAMILIES)}."
    )


@torch.no_grad()
def _fault(model: PreTrainedModel) -> str | None:
    tokens = np.arange(2, 14, dtype=np.int32)
    types = np.full(6, TargetType.CONTEXT, dtype=np.uint8)
    pair = [Example(part, types, 6) for part in (tokens[:6], tokens[6:])]
    ids = torch.tensor(tokens.reshape(2, 6), dtype=torch.int64, device=model.device)
    changed = ids.clone()
    changed[:, -1] = 1
    logits, after_change = (
        torch.cat([model(input_ids=one[None]).logits for one in some]).float() for some in (ids, changed)
    )
    largest = LARGEST_DIFFERENCE * float(logits.std())
    if not (logits - after_change)[:, :-1].abs().max() <= largest:
        return "a token sees those after it (an encoder, or is_decoder=false in its configuration)"
    alone = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").cpu().numpy()
    if not np.abs(score(model, pair, 12, model.device).nll - alone).max() <= largest:
        return "examples that lie in one row without padding see each other (it ignores position_ids)"
    return None
