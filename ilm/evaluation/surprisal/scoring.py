"""The scores of words: read from left to right, and masked in turn.

Both are kept as those of blanks are (`ilm.evaluation.scores`), so a killed evaluation resumes:

    read      an example is a text (its number is 0), and its words are the blanks
    masked    an example is a text with one word masked (its number is the word's), which is its blank 0

The tables have further columns. `nll` is NaN for the first word of a text, which has nothing before it; for a word
without tokens of its own; and for one that does not fit in `max_length` with its end.

Legend: N words and T tokens of a text.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from ilm.config.evaluate import Surprisal
from ilm.evaluation.conditions import conditions_of
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore
from ilm.evaluation.surprisal.words import KEY, bounds_of_words, stacked, tokens_of_words, word_beginnings
from ilm.evaluation.texts import tokens_of_texts
from ilm.examples.alignment import TokenSpans, align
from ilm.examples.layout import Examples, TargetType, add_prefixes, lay_out_all
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import WORD
from ilm.masking.masks import offsets
from ilm.models.devices import with_fused_activations
from ilm.models.left_to_right import TextScores, score_texts
from ilm.models.packing import row_length
from ilm.models.scoring import score
from ilm.runs.trained_model import INFILLING, TrainedModel

log = logging.getLogger("ilm")

TEXTS_READ_AT_ONCE, TEXTS_MASKED_AT_ONCE = 64, 8
MASKED_TOKENS_AT_ONCE = 2**15
# The blank, the separator, and the end of the answer.
_ADDED = 3


def score_words(
    model: TrainedModel,
    texts: pd.DataFrame,
    words: pd.DataFrame,
    max_length: int,
    texts_key: Mapping[str, Any],
    task: Surprisal,
    results: Path,
    device: torch.device,
) -> tuple[Scores, Scores | None]:
    """(The `words` of `texts` read from left to right; each masked in turn), kept in `results` under `texts_key`.

    The second is None if it is not asked for, or the model has no blank for a word.
    """
    deciding = {
        "task": task.name,
        "weights": model.fingerprint(),
        **texts_key,
        "max_length": max_length,
        **({"condition": task.condition} if model.condition else {}),
    }

    def store(**reading: Any) -> ScoreStore:
        return ScoreStore(results, model.name, deciding | reading)

    @cache
    def reader() -> Reader:
        network, vocabulary = model.load()
        return Reader(with_fused_activations(network.to(device)), vocabulary, max_length, device)

    def read(missing: np.ndarray) -> Iterator[Scores]:
        left = texts.iloc[missing]
        return reader().read(left, _prefixes(model, left, task.condition), renormalise=task.renormalise)

    def mask(missing: np.ndarray) -> Iterator[Scores]:
        left = texts[texts["writing_id"].isin(words["writing_id"].iloc[missing])]
        return reader().mask(left, _prefixes(model, left, task.condition))

    keys = pd.MultiIndex.from_arrays([texts["writing_id"], np.zeros(len(texts), int)], names=EXAMPLE)
    of_reading = store(reading="left to right", renormalise=task.renormalise)
    found = of_reading.complete(keys, read, f"{model.name}, left to right", "texts")
    if not task.infill:
        return found, None
    if WORD not in model.mask_types:
        known = ", ".join(model.mask_types)
        log.warning("%s has no blank for a word (it knows %s): no infill_bits", model.name, known)
        return found, None
    keys = pd.MultiIndex.from_frame(words[KEY], names=EXAMPLE)
    return found, store(reading="masked").complete(keys, mask, f"{model.name}, masked", "words")


def _prefixes(model: TrainedModel, texts: pd.DataFrame, condition: str) -> list[np.ndarray]:
    """The prefix of each text, token ids."""
    if not model.condition:
        return [np.zeros(0, dtype=np.int32)] * len(texts)
    conditions = conditions_of(model, texts, condition)
    return [conditions.prefixes[number] for number in conditions.numbers[:, 0]]


@dataclass(frozen=True)
class Reader:
    """A model on `device` that reads texts; `max_length` excludes a conditioned model's prefix."""

    model: PreTrainedModel
    vocabulary: Vocabulary
    max_length: int
    device: torch.device

    def read(self, texts: pd.DataFrame, prefixes: Sequence[np.ndarray], *, renormalise: bool) -> Iterator[Scores]:
        """The words of `texts` (writing_id, text), each after its `prefixes` (token ids), some texts at a time.

        `nll` of a word are those of its `targets` tokens; `begins` and `ends` the log-probabilities that a word begins
        where it does, and behind it (nats); `shared` as in
        `tokens_of_words`. Of a text, `targets` are all tokens that have
        a probability, and `taken` the sum of what was taken from infilling tokens before each.
        """
        vocabulary = self.vocabulary
        for begin in range(0, len(texts), TEXTS_READ_AT_ONCE):
            part = texts.iloc[begin : begin + TEXTS_READ_AT_ONCE]
            tokens = tokens_of_texts(part["text"], vocabulary)
            found = score_texts(
                self.model,
                [ids for ids, _ in tokens],
                window=self.max_length,
                row_tokens=self._row_tokens(prefixes),
                device=self.device,
                prefixes=prefixes[begin : begin + len(part)],
                kept=vocabulary.base_size if renormalise else None,
                begins=word_beginnings(vocabulary),
            )
            taken = [-np.expm1(scores.log_kept[1:]) for scores in found]
            about = {"writing_id": part["writing_id"], "example": 0, "targets": [*map(len, taken)]}
            of_words = [
                _read_words(text, positions, scores)
                for text, (_, positions), scores in zip(part["text"], tokens, found, strict=True)
            ]
            blanks = stacked(part["writing_id"], of_words).assign(example=0)
            yield Scores(pd.DataFrame({**about, "taken": [*map(np.sum, taken)]}), blanks)

    def mask(self, texts: pd.DataFrame, prefixes: Sequence[np.ndarray]) -> Iterator[Scores]:
        """Each word of `texts` masked in turn by a blank for a word, as in training; some words at a time.

        `nll` is that of the word's `targets` tokens and `end_nll` that of the end behind them, given the text on both
        sides; `cut`: of a text too long for the model it had only what is nearest.
        """
        for begin in range(0, len(texts), TEXTS_MASKED_AT_ONCE):
            part = texts.iloc[begin : begin + TEXTS_MASKED_AT_ONCE]
            tokens = tokens_of_texts(part["text"], self.vocabulary)
            of_texts = [
                {**_masked_words(text, positions, self.max_length - _ADDED), "text": number}
                for number, (text, (_, positions)) in enumerate(zip(part["text"], tokens, strict=True))
            ]
            words = stacked(part["writing_id"], of_texts)
            ids = [own for own, _ in tokens]
            for _, some in words.groupby(words["size"].cumsum() // MASKED_TOKENS_AT_ONCE):
                fits = some["fits"].to_numpy()
                nll = np.full((2, len(some)), np.nan)
                if fits.any():
                    nll[:, fits] = self._score(some[fits], ids, prefixes[begin : begin + len(part)])
                targets = some["last"] - some["first"]
                blanks = some[EXAMPLE].assign(blank=0, nll=nll[0], targets=targets, end_nll=nll[1])
                yield Scores(some[[*EXAMPLE, "cut"]], blanks)

    def _score(self, words: pd.DataFrame, ids: Sequence[np.ndarray], prefixes: Sequence[np.ndarray]) -> np.ndarray:
        """(2, N): the NLL of the words' tokens, and of their ends."""
        of_text = words["text"].to_numpy()
        starts = offsets([len(own) for own in ids])[of_text]
        spans = TokenSpans(
            np.arange(len(words) + 1),
            np.full(len(words), self.vocabulary.mask_types.index(WORD)),
            (words["first"] - words["begin"]).to_numpy(),
            (words["last"] - words["begin"]).to_numpy(),
        )
        sizes = words["size"].to_numpy()
        laid_out = lay_out_all(
            *(np.concatenate(ids), starts + words["begin"].to_numpy(), sizes, spans),
            *(self.vocabulary, INFILLING, self.max_length),
        )
        # The probability of the context is not needed.
        types = laid_out.target_types.copy()
        types[types == TargetType.CONTEXT] = TargetType.CONTEXT_SPECIAL
        examples: Examples = add_prefixes(
            replace(laid_out, target_types=types), [prefixes[number] for number in of_text]
        )
        scores = score(self.model, examples, self._row_tokens(prefixes), self.device)
        is_end = scores.target_types == TargetType.INFILL_SPECIAL
        return np.stack([np.bincount(scores.examples[of], scores.nll[of], len(words)) for of in (~is_end, is_end)])

    def _row_tokens(self, prefixes: Sequence[np.ndarray]) -> int:
        return row_length(None, self.device, self.max_length + max(map(len, prefixes), default=0))


def _read_words(text: str, positions: np.ndarray, scores: TextScores) -> dict[str, np.ndarray]:
    firsts, lasts, shared = tokens_of_words(positions, bounds_of_words(text))
    assert scores.log_begins is not None  # asked for
    known = np.concatenate([[0.0], np.cumsum(np.nan_to_num(scores.nll))])
    unknown = offsets(np.isnan(scores.nll))
    is_known = (lasts > firsts) & (unknown[lasts] == unknown[firsts])
    return {
        "blank": np.arange(len(firsts)),
        "nll": np.where(is_known, known[lasts] - known[firsts], np.nan),
        "targets": lasts - firsts,
        "begins": scores.log_begins[firsts],
        "ends": scores.log_begins[lasts],
        "shared": shared,
    }


def _masked_words(text: str, positions: np.ndarray, most: int) -> dict[str, Any]:
    """Of each word: its tokens first to last, and the `size` tokens of its text from `begin` on that are read."""
    starts, ends = bounds_of_words(text).T
    first, last = align(positions, starts, ends - starts)
    tokens = len(positions) - 1
    size = min(tokens, most)
    return {
        "example": np.arange(len(starts)),
        "first": first,
        "last": last,
        "begin": np.clip(first - (size - (last - first)) // 2, 0, tokens - size),
        "size": size,
        "cut": size < tokens,
        "fits": last - first <= size,
    }
