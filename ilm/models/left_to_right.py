"""The NLL of every token of plain texts, from left to right, without blanks.

A text longer than a window is read in windows of which each begins half a window after the one before: its second half
is scored with at least half a window of text before it, and every token once.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from ilm.examples.layout import Example, TargetType
from ilm.models.scoring import score


def text_nll(
    model: PreTrainedModel,
    texts: Sequence[np.ndarray],
    first: int,
    *,
    window: int,
    row_tokens: int,
    device: torch.device,
) -> list[np.ndarray]:
    """The NLL in nats of every token of each text, float64; token `first` (id) stands before each, and is not scored.

    `window` is in tokens, `first` included, and at most `row_tokens`.
    """
    windows = [list(_windows(np.concatenate([[first], ids]).astype(np.int32), window)) for ids in texts]
    nll = score(model, [example for of_text in windows for example in of_text], row_tokens, device).nll
    return np.split(nll, np.cumsum([len(ids) for ids in texts])[:-1]) if len(texts) else []


def _windows(ids: np.ndarray, window: int) -> Iterator[Example]:
    """Examples whose CONTEXT tokens are all of `ids` but the first, each once."""
    scored = 1
    while scored < len(ids):
        begin = 0 if scored == 1 else scored - window // 2
        part = ids[begin : begin + window]
        types = np.full(len(part), TargetType.CONTEXT, dtype=np.uint8)
        types[: scored - begin] = TargetType.CONTEXT_SPECIAL
        yield Example(part, types, len(part))
        scored = begin + len(part)
