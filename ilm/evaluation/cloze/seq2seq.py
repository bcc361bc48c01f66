"""Encoder-decoder models: the encoder reads the text with its blanks, the decoder writes the answers.

    T5      She ate <extra_id_0> for lunch.</s>        <extra_id_0> pasta<extra_id_1>
    BART    <s>She ate<mask> for lunch.</s>            <s>She ate pasta for lunch.</s>

Both give true probabilities of a word: those of its tokens and of its end. In T5 (Raffel et al. 2020) the next sentinel
ends an answer. After the last answer T5 may also end the text, which counts as well: its training texts ended with a
blank, whose answer </s> followed (`random_spans_noise_mask` in t5/data/preprocessors.py), and FLAN-T5 has unlearnt
sentinels. BART (Lewis et al. 2020) copies the whole text: it is given the text up to the blank, and an answer ends with
the first token after the blank (or the end of the text), which the encoder has read.

Legend: B texts, R hypotheses, T tokens, V rows of the model's output.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.masked_lm import MOST_TOKENS
from ilm.evaluation.cloze.prefix_lm import PrefixLM, Prompt
from ilm.evaluation.cloze.search import TokenIds
from ilm.evaluation.cloze.subwords import EncodedItem


class Seq2SeqLM(PrefixLM):
    def _score(self, items: Sequence[EncodedItem]) -> list[list[float]]:
        # The last prompt and its answer contain the answers to all blanks of a text.
        blanks = range(len(items[0].token_spans))
        prompts = [
            [self._prompt(item, blank, [item.word_ids(before) for before in range(blank)]) for blank in blanks]
            for item in items
        ]
        sequences = [(*own[-1].prefix, *item.word_ids(-1)) for own, item in zip(prompts, items, strict=True)]
        longest = max(len(own[-1].encoder_ids) + len(ids) for own, ids in zip(prompts, sequences, strict=True))
        size = max(1, MOST_TOKENS // longest)
        scores = []
        for begin in range(0, len(items), size):
            part = slice(begin, begin + size)
            logits = self._teacher_forced([own[-1] for own in prompts[part]], sequences[part])
            for row, item, own in zip(logits, items[part], prompts[part], strict=True):
                scores.append([_log_probability(row, own[blank], item.word_ids(blank)) for blank in blanks])
        return scores

    def _teacher_forced(self, prompts: Sequence[Prompt], sequences: Sequence[TokenIds]) -> torch.Tensor:
        """Logits (B, T, V) of the decoder reading whole sequences, padded on the right."""
        longest = max(map(len, sequences))
        ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in sequences], device=self.model.device)
        states, mask = self._encode(prompts)
        return self.model(encoder_outputs=states, attention_mask=mask, decoder_input_ids=ids, use_cache=False).logits

    def _encode(self, prompts: Sequence[Prompt]) -> tuple[BaseModelOutput, torch.Tensor]:
        """States (B, T, H) of the encoder, and the mask (B, T) of its padding on the right."""
        longest, device = max(len(prompt.encoder_ids) for prompt in prompts), self.model.device
        pad = self.subwords.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*p.encoder_ids, *[pad] * (longest - len(p.encoder_ids))] for p in prompts], device=device)
        lengths = torch.tensor([len(prompt.encoder_ids) for prompt in prompts], device=device)
        mask = (torch.arange(longest, device=device) < lengths[:, None]).long()
        return self.model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True), mask

    def _forward(self, prompts: Sequence[Prompt]) -> Callable[..., Any]:
        states, encoder_mask = self._encode(prompts)

        def forward(
            ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor, cache: Any
        ) -> Any:
            with self._decoder_positions(positions):
                return self.model(
                    encoder_outputs=BaseModelOutput(states.last_hidden_state[rows]),
                    attention_mask=encoder_mask[rows],
                    decoder_input_ids=ids,
                    decoder_attention_mask=mask,
                    past_key_values=cache,
                    use_cache=True,
                )

        return forward

    def _decoder_positions(self, positions: torch.Tensor) -> AbstractContextManager:
        """A context in which a decoder with absolute positions reads its tokens at these (R, T)."""
        return nullcontext()


def _log_probability(logits: torch.Tensor, prompt: Prompt, answer: TokenIds) -> float:
    """The log-probability of an answer and its end, from the logits (T, V) of the prompt's prefix and the answer."""
    first = len(prompt.prefix) - 1
    log_probabilities = logits[first : first + len(answer) + 1].float().log_softmax(-1)
    of_tokens = sum(float(log_probabilities[at, token]) for at, token in enumerate(answer))
    return of_tokens + float(log_probabilities[-1, list(prompt.end_tokens)].double().logsumexp(-1))


class T5(Seq2SeqLM):
    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Cloze, sentinels: Sequence[int]
    ):
        """`sentinels`: the ids of <extra_id_0>, <extra_id_1>, ..., one more than blanks."""
        super().__init__(model, tokenizer, options)  # relative positions: no text is too long
        self.sentinels, self.end = sentinels, model.config.eos_token_id

    def _input_length(self, item: EncodedItem) -> int:
        return len(item.ids) + len(item.suffix)

    def _prompt(self, item: EncodedItem, blank: int, filled: Sequence[TokenIds]) -> Prompt:
        blanks = [[self.sentinels[number]] for number in range(len(item.token_spans))]
        encoder_ids = (*item.prefix, *item.fill(blanks), *item.suffix)
        answered = [token for number, ids in enumerate(filled) for token in (self.sentinels[number], *ids)]
        prefix = (self.model.config.decoder_start_token_id, *answered, self.sentinels[blank])
        is_last = blank == len(item.token_spans) - 1
        return Prompt(encoder_ids, prefix, (self.sentinels[blank + 1], *([self.end] if is_last else ())))


class Bart(Seq2SeqLM):
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Cloze):
        super().__init__(model, tokenizer, options, max_tokens=model.config.max_position_embeddings)
        self.mask = tokenizer.mask_token_id

    def _input_length(self, item: EncodedItem) -> int:
        answers = len(item.token_spans) * self.options.max_answer_tokens
        return 1 + len(item.prefix) + len(item.ids) + len(item.suffix) + answers

    def _prompt(self, item: EncodedItem, blank: int, filled: Sequence[TokenIds]) -> Prompt:
        encoder_ids = (*item.prefix, *item.fill([[self.mask]] * len(item.token_spans)), *item.suffix)
        done, prefix = 0, [self.model.config.decoder_start_token_id, *item.prefix]
        for (first, last), answer in zip(item.token_spans, filled, strict=False):
            prefix += [*item.ids[done:first], *answer]
            done = last
        first, last = item.token_spans[blank]
        prefix += item.ids[done:first]
        following = (*item.ids[last:], *item.suffix, self.model.config.eos_token_id)
        return Prompt(encoder_ids, tuple(prefix), following[:1])

    @contextmanager
    def _decoder_positions(self, positions: torch.Tensor) -> Iterator[None]:
        embeddings = self.model.get_decoder().embed_positions

        def of_rows(module: Any, _: Any, __: Any) -> torch.Tensor:
            return functional.embedding(positions + module.offset, module.weight)

        handle = embeddings.register_forward_hook(of_rows)
        try:
            yield
        finally:
            handle.remove()
