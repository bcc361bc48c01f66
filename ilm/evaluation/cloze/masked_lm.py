"""Masked language models (BERT, RoBERTa, ModernBERT, ...): a word of k subtokens becomes k masks.

    She ate [MASK] [MASK] pasta     left to right: left [MASK], then left ##over

Filling: the first mask is filled with the others still masked, then the second given the first, ... (a best-first
search over these steps). Score of a word: the sum over its subtokens of log p(subtoken | text, the word's subtokens
before it, its later ones masked): the pseudo-log-likelihood of Salazar et al. 2020 (ACL), left to right within the word
as Kauf and Ivanova 2023 (ACL, PLL-word-l2r) correct it, since plain masking of one subtoken shows the rest of its word.
A candidate's log-probability is the same quantity.

The number of masks reveals the length of the word in subtokens, which the other kinds of model must guess.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.base import WORD_TOO_LONG, ClozeModel
from ilm.evaluation.cloze.search import BestFirstSearch, TokenIds, best_first
from ilm.evaluation.cloze.subwords import EncodedItem

MOST_ROWS = 32  # hypotheses expanded together: with more, more are expanded in vain
MOST_TOKENS = 4096  # per forward pass: the logits of all of them take 0.8 GB with RoBERTa's vocabulary

Query = tuple[tuple[int, ...], int]
"""Input ids, and the position of the mask whose logits are wanted."""


class MaskedLM(ClozeModel):
    width_per_candidate = 8  # each hypothesis costs a pass over the text

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Cloze):
        limits = [n for n in (_positions(model), tokenizer.model_max_length) if n is not None and n < 10**6]
        super().__init__(model, tokenizer, options, max_tokens=min(limits, default=math.inf))
        self.mask = tokenizer.mask_token_id
        # Logits from scoring the current batch: scoring and filling a word start with the same query.
        self._scored: dict[Query, torch.Tensor] = {}

    def _input_length(self, item: EncodedItem) -> int:
        return len(item.prefix) + len(item.ids) + len(item.suffix)

    def _blank_error(self, item: EncodedItem, blank: int) -> str | None:
        too_long = len(item.word_ids(blank)) > self.options.max_answer_tokens
        return WORD_TOO_LONG if too_long else None

    def _score(self, items: Sequence[EncodedItem]) -> list[list[float]]:
        subtokens = [
            (number, blank, at)
            for number, item in enumerate(items)
            for blank in range(len(item.token_spans))
            for at in range(len(item.word_ids(blank)))
        ]
        queries = []
        for number, blank, at in subtokens:
            words = [items[number].word_ids(b) for b in range(len(items[number].token_spans))]
            queries.append(self._query(items[number], [*words[:blank], words[blank][:at]]))
        logits = self._logits(queries)
        self._scored = {q: row for q, row, (_, _, at) in zip(queries, logits, subtokens, strict=True) if at == 0}
        scores = [[0.0] * len(item.token_spans) for item in items]
        for (number, blank, at), row in zip(subtokens, logits.log_softmax(-1), strict=True):
            scores[number][blank] += float(row[items[number].word_ids(blank)[at]])
        return scores

    def _query(self, item: EncodedItem, filled: Sequence[Sequence[int]]) -> Query:
        """The text with `filled` blanks, the last of them unfinished; its other subtokens and later blanks are masks.

        An answer has as many subtokens as the learner's word.
        """
        ids = list(item.ids)
        for blank, (first, last) in enumerate(item.token_spans):
            shown = filled[blank] if blank < len(filled) else ()
            ids[first:last] = [*shown, *[self.mask] * (last - first - len(shown))]
        position = item.token_spans[len(filled) - 1][0] + len(filled[-1])
        return (*item.prefix, *ids, *item.suffix), len(item.prefix) + position

    def _search(
        self, items: Sequence[EncodedItem], blank: int, filled: Sequence[Sequence[TokenIds]]
    ) -> list[BestFirstSearch]:
        searches = [
            self.new_search(number, item, blank, (), len(item.word_ids(blank))) for number, item in enumerate(items)
        ]

        def next_logits(hypotheses: Sequence[tuple[BestFirstSearch, TokenIds]]) -> torch.Tensor:
            return self._logits(
                [self._query(items[search.item], [*filled[search.item], tokens]) for search, tokens in hypotheses]
            )

        best_first(searches, next_logits, rows=MOST_ROWS, width=self.search_width)
        return searches

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
