"""Models that write their answers from left to right: T5 and BART read the text in an encoder, an ILM model in front.

    T5      She ate <extra_id_0> for lunch.</s>        writes  <extra_id_0> pasta<extra_id_1>
    BART    <s>She ate<mask> for lunch.</s>            writes  <s>She ate pasta for lunch.</s>
    ILM     She ate<|infill_word|> for lunch.<|startofinfill|>      writes   pasta<|endofinfill|>

All three have true probabilities of a word: those of its tokens and of the token that ends it. T5 (Raffel et al. 2020)
ends an answer with the next sentinel, ILM (Donahue et al. 2020) with its end token. BART (Lewis et al. 2020) writes the
whole text again: it is given the beginning up to the blank, and an answer ends with the first token of what follows the
blank (or the end of the text), which the encoder shows.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from ilm.evaluation.cloze.answerers import Answerer, Settings
from ilm.evaluation.cloze.beam import Beam, beam_search
from ilm.evaluation.cloze.pieces import Encoded
from ilm.examples.layout import TokenSpan, lay_out
from ilm.infilling.blanks import default_type
from ilm.infilling.decoding import Infiller
from ilm.infilling.folders import OBJECTIVE
from ilm.network.scoring import score


class Question(NamedTuple):
    """What a decoder is asked: `source` for the encoder (none of an ILM model), what is `written`, and the end."""

    source: tuple[int, ...]
    written: tuple[int, ...]
    closer: int


class WritingAnswerer(Answerer):
    """Beam search over what follows `written`, with a cache.

    Where the decoder counts its positions itself (`padded` False) only questions whose `written` are of one length are
    read together.
    """

    padded: ClassVar[bool] = False

    @abstractmethod
    def _question(self, encoded: Encoded, blank: int, before: Sequence[Sequence[int]]) -> Question:
        """The question about a blank, the blanks before it filled with the tokens `before`."""

    @abstractmethod
    def _read(self, questions: Sequence[Question]):
        """Logits (B, V) of the first token, a cache, and a function (tokens, cache) -> logits of the next one."""

    def _search(self, encoded, blank, chosen):
        questions = [self._question(e, blank, before) for e, before in zip(encoded, chosen, strict=True)]
        groups = defaultdict(list)
        for at, question in enumerate(questions):
            groups[0 if self.padded else len(question.written)].append(at)
        answers: list[list[Beam]] = [[] for _ in encoded]
        for group in groups.values():
            logits, cache, step = self._read([questions[at] for at in group])

            def advance(parents, tokens, cache=cache, step=step):
                cache.batch_select_indices(torch.tensor(parents, device=self.model.device))
                return step(parents, torch.tensor(tokens, device=self.model.device)[:, None])

            found = beam_search(
                logits,
                advance,
                [self.grammar(encoded[at], blank, closer=questions[at].closer) for at in group],
                width=self.settings.candidates,
                max_tokens=self.settings.max_answer_tokens,
            )
            for at, beams in zip(group, found, strict=True):
                answers[at] = beams
        return answers


class EncoderDecoderAnswerer(WritingAnswerer):
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, max_tokens):
        rows = model.get_output_embeddings().weight.shape[0]
        super().__init__(model, tokenizer, settings, rows=rows, max_tokens=max_tokens)
        self.start = model.config.decoder_start_token_id

    def _score(self, encoded):
        # One sequence holds the answers to all blanks of a text: the last question, and its answer.
        scores = []
        for begin in range(0, len(encoded), self.settings.candidates):
            part = encoded[begin : begin + self.settings.candidates]
            questions = [self._gold(e, len(e.runs) - 1) for e in part]
            written = [(*q.written, *e.answer(-1), q.closer) for q, e in zip(questions, part, strict=True)]
            length = max(map(len, written))
            inputs = torch.tensor([[*ids, *[0] * (length - len(ids))] for ids in written], device=self.model.device)
            states, mask = self._encode(questions)
            # (B, T, V); what stands after the end of a row changes nothing before it.
            logits = self.model(
                encoder_outputs=states, attention_mask=mask, decoder_input_ids=inputs[:, :-1], use_cache=False
            ).logits.float()
            for row, e in enumerate(part):
                log_probabilities = logits[row].log_softmax(-1)
                totals = []
                for blank in range(len(e.runs)):
                    question = self._gold(e, blank)
                    begin_at, tokens = len(question.written), (*e.answer(blank), question.closer)
                    totals.append(sum(float(log_probabilities[begin_at - 1 + i, t]) for i, t in enumerate(tokens)))
                scores.append(totals)
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
        states, mask = self._encode(questions)
        written = torch.tensor([q.written for q in questions], device=self.model.device)
        output = self.model(encoder_outputs=states, attention_mask=mask, decoder_input_ids=written, use_cache=True)
        cache, hidden = output.past_key_values, states.last_hidden_state
        rows = torch.arange(len(questions), device=self.model.device)

        def step(parents, tokens):
            nonlocal rows
            rows = rows[torch.tensor(parents, device=rows.device)]
            return self.model(
                encoder_outputs=BaseModelOutput(hidden[rows]),
                attention_mask=mask[rows],
                decoder_input_ids=tokens,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]

        return output.logits[:, -1], cache, step


class T5Answerer(EncoderDecoderAnswerer):
    kind = "t5"

    def __init__(self, model, tokenizer, settings, sentinels: Sequence[int]):
        """`sentinels`: the ids of <extra_id_0>, <extra_id_1>, ..., one more than blanks."""
        super().__init__(model, tokenizer, settings, float("inf"))  # its positions are relative
        self.sentinels = sentinels

    def _longest(self, encoded: Encoded) -> int:
        return len(encoded.ids) + len(encoded.suffix)

    def _question(self, encoded, blank, before):
        blanks = [[self.sentinels[number]] for number in range(len(encoded.runs))]
        source = (*encoded.prefix, *encoded.with_blanks(blanks), *encoded.suffix)
        answered = [token for number, ids in enumerate(before) for token in (self.sentinels[number], *ids)]
        return Question(source, (self.start, *answered, self.sentinels[blank]), self.sentinels[blank + 1])


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
        return Question(source, tuple(written), following[0])


class InfillingAnswerer(WritingAnswerer):
    """A model trained here. Its blanks are of the type that a blank typed without one has."""

    kind = "ilm"
    padded = True

    def __init__(self, infiller: Infiller, settings: Settings):
        model, self.vocabulary = infiller.model, infiller.vocabulary
        rows = model.get_output_embeddings().weight.shape[0]
        super().__init__(model, self.vocabulary.tokenizer, settings, rows=rows, max_tokens=infiller.max_tokens)
        self.mask_type = default_type(self.vocabulary.mask_types)

    def describe(self):
        return {**super().describe(), "blank": self.vocabulary.mask_types[self.mask_type]}

    def _example(self, encoded: Encoded):
        """The text as the training example whose answers are the learner's words."""
        spans = [TokenSpan(self.mask_type, first, last) for first, last in encoded.runs]
        length = len(encoded.ids) + 2 * len(spans) + 1
        return lay_out(list(encoded.ids), spans, self.vocabulary, OBJECTIVE, length)

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
        return Question((), (*context, *answered), end)

    def _read(self, questions):
        longest, device = max(len(q.written) for q in questions), self.model.device
        ids = torch.tensor([[*[0] * (longest - len(q.written)), *q.written] for q in questions], device=device)
        lengths = torch.tensor([len(q.written) for q in questions], device=device)
        # (B, T): negative on the padding, which is on the left.
        positions = torch.arange(longest, device=device) - (longest - lengths)[:, None]
        mask = (positions >= 0).long()
        output = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions.clamp(min=0), use_cache=True, logits_to_keep=1
        )
        cache = output.past_key_values

        def step(parents, tokens):
            nonlocal mask, lengths
            chosen = torch.tensor(parents, device=device)
            mask = torch.cat([mask[chosen], mask.new_ones(len(chosen), 1)], dim=1)
            lengths = lengths[chosen] + 1
            return self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=lengths[:, None] - 1,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]

        return output.logits[:, -1], cache, step
