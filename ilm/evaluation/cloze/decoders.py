"""Models that write their answers from left to right: T5 and BART read the text in an encoder, an ILM model in front.

    T5      She ate <extra_id_0> for lunch.</s>        writes  <extra_id_0> pasta<extra_id_1>
    BART    <s>She ate<mask> for lunch.</s>            writes  <s>She ate pasta for lunch.</s>
    ILM     She ate<|infill_word|> for lunch.<|startofinfill|>      writes   pasta<|endofinfill|>

All three have true probabilities of a word: those of its tokens and of what ends it. ILM (Donahue et al. 2020) ends an
answer with its end token, T5 (Raffel et al. 2020) with the next sentinel. After its last answer T5 may also end
altogether, which counts as well: in its training every text ended with a blank, whose answer </s> followed
(`random_spans_noise_mask` in t5/data/preprocessors.py), and FLAN-T5 has learnt no sentinel since. BART (Lewis et al.
2020) writes the whole text again: it is given the beginning up to the blank, and an answer ends with the first token of
what follows the blank (or the end of the text), which the encoder shows.

Legend: B questions, R rows (beginnings of their answers), T tokens, V rows of the model's output.
"""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from ilm.evaluation.cloze.answerers import Answerer, Settings
from ilm.evaluation.cloze.masked import MOST_READ
from ilm.evaluation.cloze.prefix_decoding import Reading
from ilm.evaluation.cloze.search import Search, Tokens, best_first
from ilm.evaluation.cloze.subwords import Encoded
from ilm.examples.layout import lay_out
from ilm.infilling.blanks import default_type
from ilm.infilling.infiller import Infiller
from ilm.models.scoring import score
from ilm.runs.trained_model import INFILLING

MOST_ROWS = 160  # read at once: each has its own copy of the keys and values of its text


class Question(NamedTuple):
    """What a decoder is asked: `source` for the encoder (none of an ILM model), what is `written`, and what ends it."""

    source: Tokens
    written: Tokens
    closers: Tokens


class WritingAnswerer(Answerer):
    """A search of what follows `written`, with a cache."""

    width_per_candidate = 50

    @abstractmethod
    def _question(self, encoded: Encoded, blank: int, before: Sequence[Tokens]) -> Question:
        """The question about a blank, the blanks before it filled with the tokens `before`."""

    @abstractmethod
    def _read(self, questions: Sequence[Question]) -> Reading:
        """What is written of each question."""

    def _search(self, encoded, blank, chosen):
        questions = [self._question(e, blank, before) for e, before in zip(encoded, chosen, strict=True)]
        searches = [
            self.search(number, e, blank, question.closers, self.settings.max_answer_tokens)
            for number, (e, question) in enumerate(zip(encoded, questions, strict=True))
        ]
        for begin in range(0, len(questions), MOST_ROWS):
            part = slice(begin, begin + MOST_ROWS)
            self._search_part(searches[part], questions[part])
        return searches

    def _search_part(self, searches: Sequence[Search], questions: Sequence[Question]) -> None:
        reading, begin = self._read(questions), searches[0].question

        def following(begun: Sequence[tuple[Search, Tokens]]) -> torch.Tensor:
            return reading.following([(search.question - begin, tokens) for search, tokens in begun])

        best_first(searches, following, rows=MOST_ROWS, width=self.width)


class EncoderDecoderAnswerer(WritingAnswerer):
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, max_tokens):
        rows = model.get_output_embeddings().weight.shape[0]
        super().__init__(model, tokenizer, settings, rows=rows, max_tokens=max_tokens)
        self.start = model.config.decoder_start_token_id

    def _score(self, encoded):
        # One sequence holds the answers to all blanks of a text: the last question, and its answer.
        blanks = range(len(encoded[0].runs))
        questions = [[self._gold(e, blank) for blank in blanks] for e in encoded]
        written = [(*q[-1].written, *e.answer(-1)) for q, e in zip(questions, encoded, strict=True)]
        size = max(1, MOST_READ // max(len(q[-1].source) + len(ids) for q, ids in zip(questions, written, strict=True)))
        scores = []
        for begin in range(0, len(encoded), size):
            part = slice(begin, begin + size)
            longest = max(map(len, written[part]))
            ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in written[part]], device=self.model.device)
            states, mask = self._encode([q[-1] for q in questions[part]])
            # (B, T, V); what stands after the end of a row changes nothing before it.
            logits = self.model(
                encoder_outputs=states, attention_mask=mask, decoder_input_ids=ids, use_cache=False
            ).logits
            for row, e, own in zip(logits, encoded[part], questions[part], strict=True):
                scores.append([_log_probability(row, own[blank], e.answer(blank)) for blank in blanks])
        return scores

    def _gold(self, encoded: Encoded, blank: int) -> Question:
        return self._question(encoded, blank, [encoded.answer(number) for number in range(blank)])

    def _encode(self, questions: Sequence[Question]) -> tuple[BaseModelOutput, torch.Tensor]:
        """States (B, T, H) of the encoder, and the mask (B, T) of its padding on the right."""
        longest, device = max(len(q.source) for q in questions), self.model.device
        pad = self.pieces.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*q.source, *[pad] * (longest - len(q.source))] for q in questions], device=device)
        lengths = torch.tensor([len(q.source) for q in questions], device=device)
        mask = (torch.arange(longest, device=device) < lengths[:, None]).long()
        return self.model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True), mask

    def _read(self, questions):
        states, source_mask = self._encode(questions)

        def forward(ids, mask, positions, rows, cache):
            with self._at(positions):
                return self.model(
                    encoder_outputs=BaseModelOutput(states.last_hidden_state[rows]),
                    attention_mask=source_mask[rows],
                    decoder_input_ids=ids,
                    decoder_attention_mask=mask,
                    past_key_values=cache,
                    use_cache=True,
                )

        return Reading(forward, [q.written for q in questions], self.model.device)

    def _at(self, positions: torch.Tensor) -> AbstractContextManager:
        """The decoder reads its tokens at these positions (R, T), where it has absolute ones."""
        return nullcontext()


def _log_probability(logits: torch.Tensor, question: Question, answer: Tokens) -> float:
    """Of an answer and its end, by logits (T, V) of a row in which both stand behind what is written."""
    first = len(question.written) - 1
    log_probabilities = logits[first : first + len(answer) + 1].float().log_softmax(-1)
    of_tokens = sum(float(log_probabilities[at, token]) for at, token in enumerate(answer))
    return of_tokens + float(log_probabilities[-1, list(question.closers)].double().logsumexp(-1))


class T5Answerer(EncoderDecoderAnswerer):
    kind = "t5"

    def __init__(self, model, tokenizer, settings, sentinels: Sequence[int]):
        """`sentinels`: the ids of <extra_id_0>, <extra_id_1>, ..., one more than blanks."""
        super().__init__(model, tokenizer, settings, float("inf"))  # its positions are relative
        self.sentinels, self.end = sentinels, model.config.eos_token_id

    def _longest(self, encoded: Encoded) -> int:
        return len(encoded.ids) + len(encoded.suffix)

    def _question(self, encoded, blank, before):
        blanks = [[self.sentinels[number]] for number in range(len(encoded.runs))]
        source = (*encoded.prefix, *encoded.with_blanks(blanks), *encoded.suffix)
        answered = [token for number, ids in enumerate(before) for token in (self.sentinels[number], *ids)]
        written = (self.start, *answered, self.sentinels[blank])
        is_last = blank == len(encoded.runs) - 1
        return Question(source, written, (self.sentinels[blank + 1], *([self.end] if is_last else ())))


class BartAnswerer(EncoderDecoderAnswerer):
    kind = "bart"

    def __init__(self, model, tokenizer, settings):
        super().__init__(model, tokenizer, settings, model.config.max_position_embeddings)
        self.mask = tokenizer.mask_token_id

    def _longest(self, encoded: Encoded) -> int:
        answers = len(encoded.runs) * self.settings.max_answer_tokens
        return 1 + len(encoded.prefix) + len(encoded.ids) + len(encoded.suffix) + answers

    def _question(self, encoded, blank, before):
        source = (*encoded.prefix, *encoded.with_blanks([[self.mask]] * len(encoded.runs)), *encoded.suffix)
        done, written = 0, [self.start, *encoded.prefix]
        for (first, last), answer in zip(encoded.runs, before, strict=False):
            written += [*encoded.ids[done:first], *answer]
            done = last
        first, last = encoded.runs[blank]
        written += encoded.ids[done:first]
        following = (*encoded.ids[last:], *encoded.suffix, self.model.config.eos_token_id)
        return Question(source, tuple(written), following[:1])

    @contextmanager
    def _at(self, positions):
        embeddings = self.model.get_decoder().embed_positions

        def of_rows(module, _, __):
            return functional.embedding(positions + module.offset, module.weight)

        handle = embeddings.register_forward_hook(of_rows)
        try:
            yield
        finally:
            handle.remove()


class InfillingAnswerer(WritingAnswerer):
    """A model trained here. Its blanks are of the type that a blank typed without one has."""

    kind = "ilm"

    def __init__(self, infiller: Infiller, settings: Settings):
        model, self.vocabulary = infiller.model, infiller.vocabulary
        rows = model.get_output_embeddings().weight.shape[0]
        super().__init__(model, self.vocabulary.tokenizer, settings, rows=rows, max_tokens=infiller.max_tokens)
        self.mask_type = default_type(self.vocabulary.mask_types)

    def describe(self):
        return {**super().describe(), "blank": self.vocabulary.mask_types[self.mask_type]}

    def _example(self, encoded: Encoded):
        """The text as the training example whose answers are the learner's words."""
        spans = [(self.mask_type, first, last) for first, last in encoded.runs]
        length = len(encoded.ids) + 2 * len(spans) + 1
        return lay_out(list(encoded.ids), spans, self.vocabulary, INFILLING, length)

    def _longest(self, encoded: Encoded) -> int:
        blanks = len(encoded.runs)
        return len(encoded.ids) + 2 * blanks + 1 + blanks * self.settings.max_answer_tokens

    def _score(self, encoded):
        examples = [self._example(e) for e in encoded]
        longest = max(example.full_length for example in examples)
        found = score(self.model, examples, longest, self.model.device)
        scores = []
        for number, e in enumerate(encoded):
            # Blanks and context are in front of the answers.
            lengths = [len(e.answer(blank)) + 1 for blank in range(len(e.runs))]
            nll = found.nll[found.examples == number][-sum(lengths) :]
            ends = [sum(lengths[: blank + 1]) for blank in range(len(lengths))]
            scores.append([-float(nll[end - n : end].sum()) for end, n in zip(ends, lengths, strict=True)])
        return scores

    def _question(self, encoded, blank, before):
        end = self.vocabulary.end_of_infill
        blanks = [[int(self.vocabulary.blanks[self.mask_type])]] * len(encoded.runs)
        answered = [token for ids in before for token in (*ids, end)]
        context = (*encoded.with_blanks(blanks), self.vocabulary.start_of_infill)
        return Question((), (*context, *answered), (end,))

    def _read(self, questions):
        def forward(ids, mask, positions, _, cache):
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )

        return Reading(forward, [q.written for q in questions], self.model.device)
