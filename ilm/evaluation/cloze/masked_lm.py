"""Masked language models (BERT, RoBERTa, ModernBERT, ...): a word of k subtokens becomes k masks.

    She ate [MASK] [MASK] pasta     left to right: left [MASK], then left ##over

Filling: the first mask is filled with the others still masked, then the second given the first, ... (a best-first
search over these steps). Score of a word: the sum over its subtokens of log p(subtoken | text, the word's subtokens
before it, its later ones masked): the pseudo-log-likelihood of Salazar et al. 2020 (ACL), left to right within the word
as Kauf and Ivanova 2023 (ACL, PLL-word-l2r) correct it, since plain masking of one subtoken shows the rest of its word.
A candidate's log-probability is the same quantity.

The number of masks reveals the length of the word in subtokens, which the other kinds of model must guess. With
`mlm_length` "guessed" 1 to 4 masks are tried and all answers ranked by their mean log-probability per subtoken, as
Jiang et al. 2020 (EMNLP, X-FACTR) choose among lengths.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.base import WORD_TOO_LONG, ClozeModel
from ilm.evaluation.cloze.search import BestFirstSearch, TokenIds, best_first
from ilm.evaluation.cloze.subwords import EncodedItem

LENGTHS_TRIED = (1, 2, 3, 4)
MOST_ROWS = 32  # hypotheses expanded together: with more, more are expanded in vain
MOST_TOKENS = 4096  # per forward pass: the logits of all of them take 0.8 GB with RoBERTa's vocabulary

Query = tuple[tuple[int, ...], int]
"""Input ids, and the position of the mask whose logits are wanted."""


class MaskedLM(ClozeModel):
    kind = "mlm"
    pseudo = True
    width_per_candidate = 8  # each hypothesis costs a pass over the text

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Cloze):
        limits = [n for n in (_positions(model), tokenizer.model_max_length) if n is not None and n < 10**6]
        super().__init__(model, tokenizer, options, max_tokens=min(limits, default=math.inf))
        self.mask = tokenizer.mask_token_id
        # Logits from scoring the current batch: scoring and filling a word start with the same query.
        self._scored: dict[Query, torch.Tensor] = {}

    @property
    def _is_guessed(self) -> bool:
        return self.options.mlm_length == "guessed"

    def info(self) -> dict[str, Any]:
        return {**super().info(), "length_of_the_word": self.options.mlm_length}

    def _input_length(self, item: EncodedItem) -> int:
        tried = LENGTHS_TRIED[-1] * len(item.token_spans) if self._is_guessed else 0
        return len(item.prefix) + len(item.ids) + len(item.suffix) + tried

    def _blank_error(self, item: EncodedItem, blank: int) -> str | None:
        too_long = len(item.word_ids(blank)) > self.options.max_answer_tokens
        return WORD_TOO_LONG if too_long and not self._is_guessed else None

    def _score(self, items: Sequence[EncodedItem]) -> list[list[float]]:
        subtokens = [
            (number, blank, at)
            for number, item in enumerate(items)
            for blank in range(len(item.token_spans))
            for at in range(len(item.word_ids(blank)))
        ]
        queries = [self._subtoken_query(items[number], blank, at) for number, blank, at in subtokens]
        logits = self._logits(queries)
        self._scored = {q: row for q, row, (_, _, at) in zip(queries, logits, subtokens, strict=True) if at == 0}
        scores = [[0.0] * len(item.token_spans) for item in items]
        for (number, blank, at), row in zip(subtokens, logits.log_softmax(-1), strict=True):
            scores[number][blank] += float(row[items[number].word_ids(blank)[at]])
        return scores

    def _subtoken_query(self, item: EncodedItem, blank: int, at: int) -> Query:
        """The query for subtoken `at` of the learner's word: those before it are shown, it and later ones masked."""
        words = [item.word_ids(number) for number in range(len(item.token_spans))]
        return self._query(item, [*words[:blank], words[blank][:at]], [len(word) for word in words])

    def _query(self, item: EncodedItem, filled: Sequence[Sequence[int]], lengths: Sequence[int]) -> Query:
        """The text with `filled` blanks, the last of them unfinished, padded with masks to `lengths`."""
        contents = []
        for number, length in enumerate(lengths):
            shown = tuple(filled[number]) if number < len(filled) else ()
            missing = 0 if number < len(filled) - 1 else length - len(shown)
            contents.append((*shown, *(self.mask,) * missing))
        blank = len(filled) - 1
        ids = (*item.prefix, *item.fill(contents), *item.suffix)
        shift = sum(len(contents[n]) - (last - first) for n, (first, last) in enumerate(item.token_spans[:blank]))
        return ids, len(item.prefix) + item.token_spans[blank][0] + shift + len(filled[blank])

    def _search(
        self, items: Sequence[EncodedItem], blank: int, filled: Sequence[Sequence[TokenIds]]
    ) -> list[BestFirstSearch]:
        # One search for each length that is tried.
        searches = [
            self.new_search(number, item, blank, (), length)
            for number, item in enumerate(items)
            for length in (LENGTHS_TRIED if self._is_guessed else (len(item.word_ids(blank)),))
        ]

        def next_logits(hypotheses: Sequence[tuple[BestFirstSearch, TokenIds]]) -> torch.Tensor:
            queries = []
            for search, token_ids in hypotheses:
                lengths = self._mask_counts(items[search.item], blank, search.constraint.max_tokens)
                queries.append(self._query(items[search.item], [*filled[search.item], token_ids], lengths))
            return self._logits(queries)

        best_first(searches, next_logits, rows=MOST_ROWS, width=self.search_width)
        return searches

    def _mask_counts(self, item: EncodedItem, blank: int, length: int) -> list[int]:
        """Masks of each blank: `length` for this one; for the others their subtokens, or one if lengths are guessed."""
        return [
            length if number == blank else (1 if self._is_guessed else last - first)
            for number, (first, last) in enumerate(item.token_spans)
        ]

    def _n_masks(self, token_ids: TokenIds) -> int:
        return len(token_ids)

    def _ranking_score(self, log_probability: float, token_ids: TokenIds) -> float:
        return log_probability / len(token_ids)

    def _logits(self, queries: Sequence[Query]) -> torch.Tensor:
        """Logits (queries, V) in float32; those known from scoring are reused."""
        rows: dict[Query, torch.Tensor] = {query: self._scored[query] for query in queries if query in self._scored}
        # No padding: the output of some architectures depends on it (ConvBERT, FNet, Funnel).
        of_length = defaultdict(list)
        for query in dict.fromkeys(queries):
            if query not in rows:
                of_length[len(query[0])].append(query)
        for length, same in of_length.items():
            size = max(1, MOST_TOKENS // length)
            for part in (same[begin : begin + size] for begin in range(0, len(same), size)):
                ids, positions = (torch.tensor(column, device=self.model.device) for column in zip(*part, strict=True))
                logits = self.model(input_ids=ids).logits  # (B, T, V)
                rows |= dict(zip(part, logits[torch.arange(len(part)), positions].float(), strict=True))
        return torch.stack([rows[query] for query in queries])


def _positions(model: PreTrainedModel) -> int | None:
    """The number of positions of the model; RoBERTa's start after its padding id."""
    positions = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(embeddings, "padding_idx", None)
    return positions if positions is None or padding is None else positions - padding - 1
