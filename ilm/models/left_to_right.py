"""Scores whole texts from left to right, without blanks, for every task that needs it.

    prefix   text                                   prefix: a conditioned model's, before every window
    ids      t1 t2 t3 ... tT                        t1 has a probability only with `first` before it
    nll      -  x  x  ... x
    begins   -  x  x  ... x  x                      whether the next token begins a word, also after the last

A longer text is read in windows, each starting half a window after the previous one. Every token is scored once, with
at least half a window of text before it where the text has that much.

Models trained on masked texts assign some probability to blanks. `kept` excludes it: probabilities are then
renormalised over the first `kept` rows of the head, and `log_kept` says how much was kept.

Legend: T tokens of a text, V rows of the head, K rows kept, N targets of a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from ilm.examples.layout import Example, TargetType
from ilm.models.packing import Row, pack
from ilm.models.scoring import target_logits

# Bytes of logits exponentiated and summed at a time: on a CPU, what fits in its cache.
SUMMED_BYTES = {"cpu": 2**22, "cuda": 2**28}


@dataclass(frozen=True, eq=False)
class TextScores:
    """A model's scores of a text of T tokens; float64, in nats.

    `nll` (T,): NLL of each token among those kept; NaN for the first token if nothing precedes it.
    `log_kept` (T,): log-probability of all kept tokens together; 0 if all are kept. So `nll - log_kept` is the NLL over
    the full vocabulary, and `-expm1(log_kept)` the probability excluded.
    `log_begins` (T + 1,): log-probability, among those kept, of a token of `begins` at each position, the last one
    after the text; None if not requested.
    """

    nll: np.ndarray
    log_kept: np.ndarray
    log_begins: np.ndarray | None


@torch.inference_mode()
def score_texts(
    model: PreTrainedModel,
    texts: Sequence[np.ndarray],
    *,
    window: int,
    row_tokens: int,
    device: torch.device,
    first: int | None = None,
    prefixes: Sequence[Sequence[int] | np.ndarray] | None = None,
    kept: int | None = None,
    begins: np.ndarray | None = None,
) -> list[TextScores]:
    """Score every token of `texts`, token ids, under a model in evaluation mode on `device`.

    `window`: tokens per window, with `first` but without the prefix; prefix and window must fit in `row_tokens`.
    `first`: id of a token put before each text and not scored; without it the first token of a text is not scored, even
    after a prefix, so that the same tokens are scored under every condition. `kept`: number of rows of the head to
    keep, from the first; None: all. `begins`: ids below `kept`.
    """
    lead, tail = [] if first is None else [first], [] if begins is None else [0]  # nothing is predicted from the tail
    wholes = [np.concatenate([lead, ids, tail]).astype(np.int32) for ids in texts]
    prefixes = [()] * len(texts) if prefixes is None else prefixes
    windows = [part for whole, prefix in zip(wholes, prefixes, strict=True) for part in _windows(whole, window, prefix)]
    rows = pack(windows, row_tokens)
    found = np.concatenate([np.zeros((0, 3)), *(_columns(model, row.to(device), kept, begins) for row in rows)])
    # Every token but the first is scored once.
    counts = [max(len(whole) - 1, 0) for whole in wholes]
    parts = np.split(found, np.cumsum(counts)[:-1]) if texts else []
    missing, scores = np.full((1 - len(lead), 3), np.nan), []
    for part, ids in zip(parts, texts, strict=True):
        nll, log_kept, log_begins = np.concatenate([missing, part]).T
        scores.append(TextScores(nll[: len(ids)], log_kept[: len(ids)], None if begins is None else log_begins))
    return scores


def _windows(ids: np.ndarray, window: int, prefix: Sequence[int] | np.ndarray) -> Iterator[Example]:
    """Examples, each after `prefix`, whose CONTEXT tokens are all of `ids` but the first, each once."""
    prefix = np.array(prefix, dtype=np.int32)
    scored = 1
    while scored < len(ids):
        begin = 0 if scored == 1 else scored - window // 2
        part = np.concatenate([prefix, ids[begin : begin + window]])
        types = np.full(len(part), TargetType.CONTEXT, dtype=np.uint8)
        types[: len(prefix) + scored - begin] = TargetType.CONTEXT_SPECIAL
        yield Example(part, types, len(part))
        scored = begin + len(part) - len(prefix)


def _columns(model: PreTrainedModel, row: Row, kept: int | None, begins: np.ndarray | None) -> np.ndarray:
    """(N, 3) for a row: NLL, log_kept and log_begins of each target; the last is 0 if not requested."""
    found, done, is_begin = [], 0, None
    for block in target_logits(model, row):
        kept = block.shape[1] if kept is None else kept
        if is_begin is None:
            is_begin = torch.zeros(kept, device=block.device)
            is_begin[[] if begins is None else begins] = 1
        size = max(1, SUMMED_BYTES.get(block.device.type, 2**22) // (4 * block.shape[1]))
        for logits in block.split(size):
            targets = row.targets[done : done + len(logits), None]
            highest = logits[:, :kept].amax(-1, keepdim=True)
            masses = (logits[:, :kept] - highest).exp_()
            parts = (
                (logits.gather(1, targets) - highest)[:, 0],
                masses.sum(-1),
                # A probability that underflows is replaced by the smallest float.
                (masses @ is_begin).clamp_min(torch.finfo(torch.float32).tiny),
                logits[:, kept:].logsumexp(-1) - highest[:, 0],
            )
            found.append(torch.stack(parts, dim=1))
            done += len(logits)
    of_target, mass, of_begins, left_out = torch.cat(found).cpu().double().numpy().T
    log_mass = np.log(mass)
    return np.stack(
        [log_mass - of_target, -np.log1p(np.exp(left_out - log_mass)), np.log(of_begins) - log_mass], axis=1
    )
