"""Models that write an answer from left to right after a prefix, among them the models trained here.

The keys and values of the prefix are computed once. Those of a hypothesis, which has few tokens, are recomputed each
time, so hypotheses may come in any order.

Legend: B prefixes, R hypotheses, T tokens, V rows of the model's output.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.base import ClozeModel
from ilm.evaluation.cloze.items import Item
from ilm.evaluation.cloze.search import BestFirstSearch, TokenIds, best_first
from ilm.evaluation.cloze.subwords import EncodedItem
from ilm.evaluation.conditions import prefix_values
from ilm.examples.conditions import prefix_tokens
from ilm.examples.layout import Example, Examples, add_prefixes, lay_out
from ilm.infilling.blanks import default_type
from ilm.infilling.infiller import Infiller
from ilm.models.scoring import score
from ilm.runs.trained_model import INFILLING

MOST_ROWS = 160  # hypotheses per forward pass: each has its own copy of its prefix's keys and values

Forward = Callable
"""forward(ids (R, T), mask (R, cached + T), positions (R, T), rows (R,), cache): the model's output for tokens that
follow those in the cache; `rows` are the numbers of their prefixes."""


class Prompt(NamedTuple):
    """`encoder_ids` (none of a decoder-only model), the decoder's `prefix`, and the tokens that end an answer."""

    encoder_ids: TokenIds
    prefix: TokenIds
    end_tokens: TokenIds


class PrefixDecoder:
    """A decoder that has read a batch of left-padded prefixes and keeps their cache."""

    def __init__(self, forward: Forward, prefixes: Sequence[TokenIds], device: torch.device):
        longest = max(map(len, prefixes))
        ids = torch.tensor([[*[0] * (longest - len(tokens)), *tokens] for tokens in prefixes], device=device)
        self._lengths = torch.tensor([len(tokens) for tokens in prefixes], device=device)
        # (B, T): negative on the padding.
        positions = torch.arange(longest, device=device) - (longest - self._lengths)[:, None]
        self._mask = (positions >= 0).long()
        self._forward = forward
        output = forward(ids, self._mask, positions.clamp(min=0), torch.arange(len(prefixes), device=device), None)
        self._cache, self._logits = output.past_key_values, output.logits[:, -1]

    def next_logits(self, hypotheses: Sequence[tuple[int, TokenIds]]) -> torch.Tensor:
        """Logits (R, V) after each hypothesis, given as the number of its prefix and the tokens after it."""
        of_length = defaultdict(list)
        for at, (_, tokens) in enumerate(hypotheses):
            of_length[len(tokens)].append(at)
        order = [at for same in of_length.values() for at in same]
        logits = torch.cat([self._of_equal_length([hypotheses[at] for at in same]) for same in of_length.values()])
        return logits[torch.tensor(order, device=logits.device).argsort()]

    def _of_equal_length(self, hypotheses: Sequence[tuple[int, TokenIds]]) -> torch.Tensor:
        numbers, tokens = zip(*hypotheses, strict=True)
        rows, ids = (torch.tensor(column, device=self._mask.device) for column in (numbers, tokens))
        if not ids.numel():
            return self._logits[rows]
        cache = deepcopy(self._cache)
        cache.batch_select_indices(rows)
        mask = torch.cat([self._mask[rows], torch.ones_like(ids)], dim=1)
        positions = self._lengths[rows, None] + torch.arange(ids.shape[1], device=ids.device)
        return self._forward(ids, mask, positions, rows, cache).logits[:, -1]


class PrefixLM(ClozeModel):
    """A model whose answers follow a prefix."""

    width_per_candidate = 50

    @abstractmethod
    def _prompt(self, item: EncodedItem, blank: int, filled: Sequence[TokenIds]) -> Prompt:
        """The prompt for a blank, with the tokens `filled` in the blanks before it."""

    @abstractmethod
    def _forward(self, prompts: Sequence[Prompt]) -> Forward:
        """The forward function for the decoder's side of these prompts."""

    def _search(
        self, items: Sequence[EncodedItem], blank: int, filled: Sequence[Sequence[TokenIds]]
    ) -> list[BestFirstSearch]:
        prompts = [self._prompt(item, blank, before) for item, before in zip(items, filled, strict=True)]
        searches = [
            self.new_search(number, item, blank, prompt.end_tokens, self.options.max_answer_tokens)
            for number, (item, prompt) in enumerate(zip(items, prompts, strict=True))
        ]
        decoder = PrefixDecoder(self._forward(prompts), [prompt.prefix for prompt in prompts], self.model.device)

        def next_logits(hypotheses: Sequence[tuple[BestFirstSearch, TokenIds]]) -> torch.Tensor:
            return decoder.next_logits([(search.item, tokens) for search, tokens in hypotheses])

        best_first(searches, next_logits, rows=MOST_ROWS, width=self.search_width)
        return searches


class InfillingLM(PrefixLM):
    """A model trained here (Donahue et al. 2020): the answer follows the whole context, and its end token ends it.

        She ate<|infill_word|> for lunch.<|startofinfill|>      generates   pasta<|endofinfill|>

    Its blanks have the default type of a typed blank. A conditioned model reads the prefix that `task.condition` says
    (`ilm.evaluation.conditions`).
    """

    def __init__(self, infiller: Infiller, options: Cloze):
        self.vocabulary = infiller.vocabulary
        super().__init__(infiller.model, self.vocabulary.tokenizer, options, max_tokens=infiller.max_tokens)
        self.condition = infiller.condition
        self.mask_type = default_type(self.vocabulary.mask_types)

    def _encode_item(self, item: Item) -> EncodedItem | str:
        encoded = super()._encode_item(item)
        if isinstance(encoded, str):
            return encoded
        values = prefix_values(self.condition, vars(item), self.options.condition)
        return replace(encoded, prefix=prefix_tokens(values, self.vocabulary))

    def _input_length(self, item: EncodedItem) -> int:
        blanks = len(item.token_spans)
        return len(item.prefix) + len(item.ids) + 2 * blanks + 1 + blanks * self.options.max_answer_tokens

    def _score(self, items: Sequence[EncodedItem]) -> list[list[float]]:
        examples = [self._example(item) for item in items]
        longest = max(len(example.input_ids) for example in examples)
        found = score(self.model, examples, longest, self.model.device)
        scores = []
        for number, item in enumerate(items):
            # The answers come last, after blanks and context.
            lengths = [len(item.word_ids(blank)) + 1 for blank in range(len(item.token_spans))]
            nll = found.nll[found.examples == number][-sum(lengths) :]
            ends = [sum(lengths[: blank + 1]) for blank in range(len(lengths))]
            scores.append([-float(nll[end - n : end].sum()) for end, n in zip(ends, lengths, strict=True)])
        return scores

    def _example(self, item: EncodedItem) -> Example:
        """The item as a training example whose answers are the learner's words."""
        spans = [(self.mask_type, first, last) for first, last in item.token_spans]
        length = len(item.ids) + 2 * len(spans) + 1
        example = lay_out(list(item.ids), spans, self.vocabulary, INFILLING, length)
        return add_prefixes(Examples.of([example]), [np.array(item.prefix, dtype=np.int32)])[0]

    def _prompt(self, item: EncodedItem, blank: int, filled: Sequence[TokenIds]) -> Prompt:
        end = self.vocabulary.end_of_infill
        blanks = [[int(self.vocabulary.blanks[self.mask_type])]] * len(item.token_spans)
        answered = [token for ids in filled for token in (*ids, end)]
        context = (*item.prefix, *item.fill(blanks), self.vocabulary.start_of_infill)
        return Prompt((), (*context, *answered), (end,))

    def _forward(self, prompts: Sequence[Prompt]) -> Forward:
        def forward(ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, _: torch.Tensor, cache: Any) -> Any:
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )

        return forward
