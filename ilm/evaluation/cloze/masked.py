"""Masked language models (BERT, RoBERTa, ModernBERT, ...): a word of k subtokens is asked as k masks.

    She ate [MASK] [MASK] pasta     left to right: left [MASK], then left ##over

Filling: the first mask is answered with the others still masked, then the second given the first, ... (a best-first
search over these steps). Score of a word: the sum over its subtokens of log p(subtoken | text, the word's subtokens
before it, its later ones masked): the pseudo-log-likelihood of Salazar et al. 2020 (ACL), left to right within the word
as Kauf and Ivanova 2023 (ACL, PLL-word-l2r) correct it, since plain masking of one subtoken shows the rest of its word.
The score of a filled answer is the same quantity.

The number of masks tells the model the length of the word in subtokens, which the other kinds have to guess. With
`mlm_length` "guessed" 1 to 4 masks are tried and all answers ranked by their mean log-probability per subtoken, as
Jiang et al. 2020 (EMNLP, X-FACTR) choose among lengths.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ilm.evaluation.cloze.answerers import WORD_TOO_LONG, Answerer, Settings
from ilm.evaluation.cloze.search import Search, Tokens, best_first
from ilm.evaluation.cloze.subwords import Encoded

GUESSED = "guessed"
LENGTHS_TRIED = (1, 2, 3, 4)
MOST_ROWS = 32  # beginnings that go on together: the fewer, the fewer go on for nothing
MOST_READ = 4096  # tokens in one pass: the model gives logits of all of them, 0.8 GB for RoBERTa's vocabulary

Query = tuple[tuple[int, ...], int]
"""Token ids, and the place of the mask that is asked about."""


class MaskedAnswerer(Answerer):
    kind = "mlm"
    pseudo = True
    width_per_candidate = 8  # each beginning costs a pass over the text

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings):
        limits = [n for n in (_positions(model), tokenizer.model_max_length) if n is not None and n < 10**6]
        rows = model.get_output_embeddings().weight.shape[0]
        super().__init__(model, tokenizer, settings, rows=rows, max_tokens=min(limits, default=float("inf")))
        self.mask = tokenizer.mask_token_id
        # Logits of the batch at hand: the score of a word and its filling begin with the same query.
        self._of_words: dict[Query, torch.Tensor] = {}

    @property
    def _is_guessed(self) -> bool:
        return self.settings.mlm_length == GUESSED

    def describe(self):
        return {**super().describe(), "length_of_the_word": self.settings.mlm_length}

    def _longest(self, encoded: Encoded) -> int:
        tried = LENGTHS_TRIED[-1] * len(encoded.runs) if self._is_guessed else 0
        return len(encoded.prefix) + len(encoded.ids) + len(encoded.suffix) + tried

    def _blank_fault(self, encoded: Encoded, blank: int) -> str | None:
        too_long = len(encoded.answer(blank)) > self.settings.max_answer_tokens
        return WORD_TOO_LONG if too_long and not self._is_guessed else None

    def _score(self, encoded: Sequence[Encoded]) -> list[list[float]]:
        queries = {
            (text, blank, at): self._gold(e, blank, at) for text, e in enumerate(encoded) for blank, at in _subtokens(e)
        }
        logits = self._logits(list(queries.values()))
        self._of_words = {queries[key]: row for key, row in zip(queries, logits, strict=True) if key[2] == 0}
        scores = [[0.0] * len(e.runs) for e in encoded]
        for (text, blank, at), row in zip(queries, logits.log_softmax(-1), strict=True):
            scores[text][blank] += float(row[encoded[text].answer(blank)[at]])
        return scores

    def _gold(self, encoded: Encoded, blank: int, at: int) -> Query:
        """The query about subtoken `at` of the learner's word: what comes before it is there, what follows masked."""
        words = [encoded.answer(number) for number in range(len(encoded.runs))]
        known = [*words[:blank], words[blank][:at]]
        return self._query(encoded, known, [len(word) for word in words])

    def _query(self, encoded: Encoded, known: Sequence[Sequence[int]], lengths: Sequence[int]) -> Query:
        """The text with `known` answers, the last of them unfinished, and masks up to `lengths` for what is missing."""
        contents = []
        for number, length in enumerate(lengths):
            there = tuple(known[number]) if number < len(known) else ()
            missing = 0 if number < len(known) - 1 else length - len(there)
            contents.append((*there, *(self.mask,) * missing))
        blank = len(known) - 1
        ids = (*encoded.prefix, *encoded.with_blanks(contents), *encoded.suffix)
        shift = sum(len(contents[n]) - (last - first) for n, (first, last) in enumerate(encoded.runs[:blank]))
        return ids, len(encoded.prefix) + encoded.runs[blank][0] + shift + len(known[blank])

    def _search(self, encoded, blank, chosen):
        # One search for each length that is tried.
        searches = [
            self.search(text, e, blank, (), length)
            for text, e in enumerate(encoded)
            for length in (LENGTHS_TRIED if self._is_guessed else (len(e.answer(blank)),))
        ]

        def following(begun: Sequence[tuple[Search, Tokens]]) -> torch.Tensor:
            queries = []
            for search, token_ids in begun:
                text = encoded[search.question]
                lengths = self._lengths(text, blank, search.grammar.max_tokens)
                queries.append(self._query(text, [*chosen[search.question], token_ids], lengths))
            return self._logits(queries)

        best_first(searches, following, rows=MOST_ROWS, width=self.width)
        return searches

    def _lengths(self, encoded: Encoded, blank: int, length: int) -> list[int]:
        """Masks of each blank: of the later ones as many as they have subtokens, or one where that is not told."""
        return [
            length if number == blank else (1 if self._is_guessed else last - first)
            for number, (first, last) in enumerate(encoded.runs)
        ]

    def _question_of(self, token_ids):
        return len(token_ids)

    def _worth(self, log_probability, token_ids):
        return log_probability / len(token_ids)

    def _logits(self, queries: Sequence[Query]) -> torch.Tensor:
        """Logits (queries, V) in float32 at the places asked about. Those of the learner's words are not read again."""
        rows: dict[Query, torch.Tensor] = {query: self._of_words[query] for query in queries if query in self._of_words}
        new = [query for query in dict.fromkeys(queries) if query not in rows]
        # No padding, since what some architectures compute depends on it (ConvBERT, FNet, Funnel).
        of_length = defaultdict(list)
        for query in new:
            of_length[len(query[0])].append(query)
        for length, same in of_length.items():
            size = max(1, MOST_READ // length)
            for part in (same[begin : begin + size] for begin in range(0, len(same), size)):
                ids, places = (torch.tensor(column, device=self.model.device) for column in zip(*part, strict=True))
                logits = self.model(input_ids=ids).logits  # (B, T, V)
                rows |= dict(zip(part, logits[torch.arange(len(part)), places].float(), strict=True))
        return torch.stack([rows[query] for query in queries])


def _subtokens(encoded: Encoded) -> list[tuple[int, int]]:
    """(blank, subtoken) of every subtoken of the learner's words."""
    return [(blank, at) for blank in range(len(encoded.runs)) for at in range(len(encoded.answer(blank)))]


def _positions(model: PreTrainedModel) -> int | None:
    """How many tokens the model has positions for: RoBERTa's begin after its padding id."""
    positions = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(embeddings, "padding_idx", None)
    return positions if positions is None or padding is None else positions - padding - 1
