"""Filling blanks with a model of the objective `ilm`: batched sampling with a key-value cache.

1. Texts become contexts (`ilm.infilling.blanks`); every candidate of a text is a sequence of its own.
2. Sequences are sorted by length and decoded `batch_size` at a time: the contexts are padded on the left and read
   once, then the rows of the cache are repeated for the candidates.
3. Each step adds one token to every sequence. A mask over the logits admits only what the grammar does:

       sequence  =  context <|startofinfill|> answer{one per blank, in order}
       answer    =  token token* <|endofinfill|>        token: of the base vocabulary, not special

   where the first token carries the space typed before the blank, and an answer is not white space alone.
4. A sequence leaves the batch when its last answer is closed.

Token probabilities are those of the model, before mask and temperature: their sum is what the evaluation scores.

Legend: B sequences, T tokens, V rows of the model's output (at least the tokenizer's).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from ilm.errors import UserError
from ilm.examples.layout import TokenSpan, lay_out
from ilm.examples.tokenising import token_positions
from ilm.examples.tokens import align
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context
from ilm.infilling.sampling import DecodingSettings, distribution, draw, generator_of
from ilm.infilling.sequences import Infilling, OpenSequence
from ilm.runs import RunFolder
from ilm.training.models import load_tokenizer, pretrained_model, usable_device
from ilm.training.scoring import score as score_examples

OBJECTIVE = "ilm"


class Infiller:
    """A model and its vocabulary, to fill blanks with.

    `max_tokens` bounds context and answers together; it is never more than the model's positions.

    Raises: UserError if the model has fewer rows than the vocabulary.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary, max_tokens: int | None = None):
        rows = model.get_output_embeddings().weight.shape[0]
        if rows < vocabulary.size:
            raise UserError(
                f"The model has {rows} embedding rows, but its tokenizer {vocabulary.size} tokens: they do not belong "
                "together. Give the folder of a model trained here, such as experiments/NAME/model."
            )
        self.model, self.vocabulary = model.eval(), vocabulary
        limits = [n for n in (max_tokens, getattr(model.config, "max_position_embeddings", None)) if n is not None]
        self.max_tokens: float = min(limits, default=math.inf)
        tokenizer = vocabulary.tokenizer
        special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        special |= set(tokenizer.all_special_ids)
        texts = [self._decode([i]) for i in range(vocabulary.base_size)]
        words = torch.tensor([i not in special for i in range(vocabulary.base_size)])
        spaced = words & torch.tensor([text.startswith(" ") for text in texts])
        blank = torch.tensor([text.isspace() for text in texts])
        self._answers_carry_space = bool((spaced & ~blank).any())
        # Rows of the output, boolean (V,): tokens that begin with a space; that are not white space; all; and the end.
        self._first_spaced, self._text, self._open, self._any = torch.zeros(4, rows, dtype=torch.bool)
        self._first_spaced[: vocabulary.base_size] = spaced
        self._text[: vocabulary.base_size] = words & ~blank
        self._open[: vocabulary.base_size] = words
        self._any[: vocabulary.base_size] = words
        self._any[vocabulary.end_of_infill] = True

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto") -> "Infiller":
        """The model in a run's folder (experiments/NAME) or any folder in Hugging Face format with infilling tokens.

        A run's model trained from random weights takes as many tokens as it was trained on, since it has never seen
        the positions after them. `device`: auto (a GPU if there is one), cpu, cuda, cuda:1, mps.

        Raises: UserError if there is no model, it has no infilling tokens, its run had another objective, or the
        device is not there.
        """
        folder, max_tokens, place = Path(path), None, usable_device(device, "device")
        if not folder.is_dir():
            raise UserError(f"The model folder {folder} does not exist. Give a run's folder, such as experiments/NAME.")
        run = folder.parent if folder.name == "model" else folder
        if (run / "run.json").is_file():
            settings, folder = RunFolder(run).config, RunFolder(run).model
            if settings["objective"] != OBJECTIVE:
                raise UserError(
                    f"{run} was trained with objective={settings['objective']}, and blanks are filled only by models "
                    f"of objective={OBJECTIVE}. Train one: python train.py objective={OBJECTIVE}"
                )
            if not folder.is_dir():
                state = RunFolder(run).status.get("state", "not begun")
                raise UserError(f"{run} is {state} and has no model yet: the command that trains it goes on with it.")
            max_tokens = None if settings["model"]["pretrained"] else settings["data"]["max_length"]
        vocabulary = Vocabulary.of_trained(load_tokenizer(str(folder)))
        return cls(pretrained_model(str(folder)).to(place), vocabulary, max_tokens)

    def __call__(self, texts: str | Sequence[str], **settings) -> list[list[Infilling]]:
        """Fill the blanks of texts: for every one, in order, its candidates. One string is a list of one text.

        `settings` are the fields of `DecodingSettings`. A result depends on neither the other texts nor the batch
        size, as far as the model's arithmetic does not.

        Raises: UserError for a text without a blank or too long for the model (see `context`), settings out of range.
        """
        decoding = DecodingSettings(**settings)
        candidates = 1 if decoding.greedy else decoding.candidates
        contexts = [self.context(text) for text in ([texts] if isinstance(texts, str) else texts)]
        groups = [
            [
                OpenSequence.begin(context, generator_of(decoding.seed, context.text, number))
                for number in range(candidates)
            ]
            for context in contexts
        ]
        waiting = sorted((sequence for group in groups for sequence in group), key=lambda s: len(s.context.ids))
        for begin in range(0, len(waiting), decoding.batch_size):
            self._decode_batch(waiting[begin : begin + decoding.batch_size], decoding)
        return [[self._result(sequence) for sequence in group] for group in groups]

    def context(self, text: str) -> Context:
        """A typed text made ready.

        Raises: UserError if it has no blank, or leaves no place for an answer to each (at least a token and its end).
        """
        context = Context.of(text, self.vocabulary, self._answers_carry_space)
        fitting = self.max_tokens - 2 * len(context.types)
        if len(context.ids) > fitting:
            raise UserError(
                f"The text has {len(context.ids)} tokens, and {max(fitting, 0)} fit: the model takes "
                f"{self.max_tokens}, at least {2 * len(context.types)} of them for the answers. Shorten it."
            )
        return context

    def score(self, text: str, answers: Sequence[str]) -> float:
        """The log-probability in nats of `answers`, with their end tokens, in the blanks of `text`.

        As in evaluation: the filled text is tokenised whole and laid out as a training example. An answer that the
        model wrote in other tokens than the tokenizer's own has another log-probability as an `Infilling`.

        Raises: UserError for the wrong number of answers, an empty one, two that share a token, or too long a text.
        """
        context = self.context(text)
        if len(answers) != len(context.types) or not all(answers):
            raise UserError(f"{len(context.types)} blanks need as many answers, none of them empty: got {answers}")
        filled, spans = context.fill(answers)
        encoded = self.vocabulary.tokenizer(
            filled, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        starts, lengths = np.array(spans).T
        first, last = align(token_positions(encoded.offset_mapping, len(filled)), starts, lengths)
        if (first[1:] < last[:-1]).any():
            raise UserError("Two answers share a token. Leave a space between the blanks.")
        runs = [TokenSpan(*run) for run in zip(context.types, first.tolist(), last.tolist(), strict=True)]
        ids = encoded.input_ids
        example = lay_out(ids, runs, self.vocabulary, OBJECTIVE, max_length=len(ids) + 2 * len(runs) + 1)
        if example.full_length > self.max_tokens:
            raise UserError(
                f"Text and answers have {example.full_length} tokens, and the model takes {self.max_tokens}"
            )
        return -score_examples(self.model, [example], example.full_length, self.model.device).total("infill")[0]

    @torch.inference_mode()
    def _decode_batch(self, sequences: list[OpenSequence], decoding: DecodingSettings) -> None:
        contexts = {sequence.context.text: sequence.context for sequence in sequences}
        row_of = {text: row for row, text in enumerate(contexts)}
        logits, cache, mask = self._read(list(contexts.values()))
        rows = [row_of[sequence.context.text] for sequence in sequences]
        logits, mask = logits[rows], _select(rows, cache, mask)
        while True:
            self._extend(sequences, logits, decoding)
            open_rows = [row for row, sequence in enumerate(sequences) if not sequence.finished]
            if not open_rows:
                return
            if len(open_rows) < len(sequences):
                sequences, mask = [sequences[row] for row in open_rows], _select(open_rows, cache, mask)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            output = self.model(
                input_ids=torch.tensor([[sequence.last] for sequence in sequences], device=mask.device),
                attention_mask=mask,
                position_ids=torch.tensor([[sequence.length - 1] for sequence in sequences], device=mask.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            logits, cache = output.logits[:, -1].cpu(), output.past_key_values

    def _read(self, contexts: list[Context]) -> tuple[torch.Tensor, Cache, torch.Tensor]:
        """Logits (B, V) after the contexts, on the CPU, their cache, and the attention mask (B, T)."""
        longest = max(len(context.ids) for context in contexts)
        ids = torch.tensor([[0] * (longest - len(context.ids)) + list(context.ids) for context in contexts])
        lengths = torch.tensor([[len(context.ids)] for context in contexts])
        # (B, T): negative on the padding.
        positions = torch.arange(longest) - (longest - lengths)
        mask = (positions >= 0).long().to(self.model.device)
        output = self.model(
            input_ids=ids.to(mask.device),
            attention_mask=mask,
            position_ids=positions.clamp(min=0).to(mask.device),
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].cpu(), output.past_key_values, mask

    def _extend(self, sequences: list[OpenSequence], logits: torch.Tensor, decoding: DecodingSettings) -> None:
        """Add one token to each sequence, chosen by logits (B, V)."""
        logits = logits.double()
        if logits.isnan().any():
            raise UserError("The model computes NaN: its weights are damaged, or were when training ended.")
        rooms = [self._room(sequence, decoding.max_answer_tokens) for sequence in sequences]
        allowed = torch.stack([self._allowed(*pair) for pair in zip(sequences, rooms, strict=True)])
        grammatical = logits.masked_fill(~allowed, -math.inf)
        if decoding.greedy:
            chosen = grammatical.argmax(-1)
        else:
            probabilities = distribution(grammatical, decoding.temperature, decoding.top_k, decoding.top_p)
            chosen = draw(probabilities, [sequence.generator for sequence in sequences])
        end, log_probabilities = self.vocabulary.end_of_infill, logits.log_softmax(-1)
        for row, (sequence, token, room) in enumerate(zip(sequences, chosen.tolist(), rooms, strict=True)):
            if token != end and room == 0:
                token, sequence.complete = end, False
            sequence.add(token, float(log_probabilities[row, token]), bool(self._text[token]))
            if token == end:
                sequence.close()

    def _allowed(self, sequence: OpenSequence, room: int) -> torch.Tensor:
        """Which rows of the output may come next, (V,), where the open answer has room for so many tokens."""
        if sequence.has_text:
            return self._any
        first = not sequence.token_ids[-1]
        allowed = self._first_spaced if first and sequence.context.spaced[sequence.answer] else self._open
        return allowed & self._text if room == 1 else allowed

    def _room(self, sequence: OpenSequence, max_answer_tokens: int) -> int:
        """How many tokens the open answer may still take: its end, and a token and end for each to come, must fit."""
        answers_to_come = len(sequence.context.types) - sequence.answer - 1
        fitting = self.max_tokens - sequence.length - 1 - 2 * answers_to_come
        return min(fitting, max_answer_tokens - len(sequence.token_ids[-1]))

    def _decode(self, ids: Sequence[int]) -> str:
        """The text of tokens that stand inside a text: some decoders drop a space at the very beginning."""
        start = self.vocabulary.start_of_infill
        return self.vocabulary.decode([start, *ids]).removeprefix(self.vocabulary.decode([start]))

    def _result(self, sequence: OpenSequence) -> Infilling:
        context, ids = sequence.context, sequence.token_ids[:-1]
        answers = [self._decode(answer[:-1])[int(space) :] for answer, space in zip(ids, context.spaced, strict=True)]
        text, spans = context.fill(answers)
        return Infilling(
            text,
            tuple(answers),
            spans,
            tuple(map(tuple, ids)),
            tuple(map(tuple, sequence.log_probabilities[:-1])),
            sequence.complete,
        )


def _select(rows: list[int], cache: Cache, mask: torch.Tensor) -> torch.Tensor:
    """The attention mask with `rows` alone, in their order; likewise the cache, in place."""
    selected = torch.tensor(rows, device=mask.device)
    cache.batch_select_indices(selected)
    return mask[selected]
