"""Filling blanks with a model of the objective `ilm`: batched, with a cache, and only with what the grammar allows.

1. Texts become contexts (`ilm.infilling.blanks`); of one too long for the model, what is near its blanks
   (`ilm.infilling.truncation`).
2. Every candidate of a text is a sequence; they are written many at a time (`ilm.infilling.generate`).
3. Finished sequences become `Infilling`s, in the order of the texts.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.alignment import align
from ilm.examples.layout import TargetType, lay_out
from ilm.examples.tokenize import token_positions
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import NO_LIMITS, BlankLimits, Context
from ilm.infilling.candidates import GeneratedSequence, Infilling
from ilm.infilling.constraints import AnswerConstraints
from ilm.infilling.generate import Generator, SequenceGroup
from ilm.infilling.token_bytes import TokenBytes
from ilm.infilling.truncation import truncate
from ilm.infilling.verify import verify_generation
from ilm.masking.functions import Span
from ilm.masking.preview import cut as cut_out
from ilm.models.devices import usable_device
from ilm.models.loading import pretrained_model, require_rows
from ilm.models.scoring import score as score_examples
from ilm.runs.trained_model import INFILLING, TrainedModel, model_in

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

DEFAULTS = Decoding()
MAX_ROUNDS = 8  # times `candidates` that are drawn for distinct ones

Limits = Sequence[BlankLimits | None]


class Infiller:
    """A model and its vocabulary, to fill blanks with. Threads may share one: they take turns.

    The model is put into eval mode, and its GELUs of GPT-2 become torch's own, of the same formula and faster.

    `max_tokens` bounds context and answers together; it is never more than the model's positions or its window of
    attention. `folder` is where the model came from, for messages.

    Raises: UserError if the model has fewer rows than the vocabulary, is of a kind that cannot be written with
    (`ilm.infilling.verify`), or computes NaN.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        max_tokens: int | None = None,
        folder: str | Path = "the model",
    ):
        require_rows(model, vocabulary, folder)
        self.model, self.vocabulary = _with_fused_activations(model.eval()), vocabulary
        own = [getattr(model.config, name, None) for name in ("max_position_embeddings", "sliding_window")]
        self.max_tokens: float = min((n for n in (max_tokens, *own) if n is not None), default=math.inf)
        self.token_bytes = TokenBytes(vocabulary)
        rows = model.get_output_embeddings().weight.shape[0]
        self._constraints = AnswerConstraints(vocabulary, self.token_bytes, rows, model.device)
        self._lock = threading.Lock()
        verify_generation(self.model, vocabulary, self._constraints)

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto", dtype: str = "float32") -> "Infiller":
        """The model in a run's folder (experiments/NAME) or any folder in Hugging Face format with infilling tokens.

        A run's model trained from random weights takes as many tokens as it was trained on, since it has never seen
        the positions after them. `device`: auto (a GPU if there is one), cpu, cuda, cuda:1, mps. `dtype` of the
        weights: float32, or bfloat16, which takes half the memory and rounds log-probabilities to two or three digits.

        Raises: UserError if there is no model, it has no infilling tokens, its run had another objective, or the
        device is not there.
        """
        return cls.of(model_in(Path(path)), device, dtype)

    @classmethod
    def of(cls, trained: TrainedModel, device: str = "auto", dtype: str = "float32") -> "Infiller":
        """As `from_pretrained`, of a model that was found already (`ilm.runs.finder`)."""
        place = usable_device(device, "device")
        if dtype not in DTYPES:
            raise UserError(f"dtype={dtype}: expected one of {', '.join(DTYPES)}")
        trained.require_infilling()
        from_scratch = trained.settings is not None and not trained.settings.model.pretrained
        max_tokens = trained.settings.data.max_length if from_scratch else None
        model = pretrained_model(str(trained.path)).to(place, DTYPES[dtype])
        return cls(model, trained.vocabulary, max_tokens, trained.path)

    def __call__(
        self,
        texts: str | Context | Sequence[str | Context],
        decoding: Decoding = DEFAULTS,
        limits: Limits | Sequence[Limits | None] | None = None,
    ) -> list[list[Infilling]]:
        """Fill the blanks of texts: for each one, in order, its candidates. One string is a list of one text.

        `texts` may also be contexts, as `context` and `context_of_spans` make them. `limits`: for each text None or a
        list with what the answer to each of its blanks may be (None: anything); for one text the list alone. A result
        depends neither on the other texts nor on the batch size, as far as the model's arithmetic does not.

        Raises: UserError for a text without a blank or too long for the model (see `context`).
        """
        if isinstance(texts, str | Context):
            texts, limits = [texts], [limits]
        limits = [None] * len(texts) if limits is None else limits
        if len(limits) != len(texts):
            raise UserError(f"limits: {len(limits)} for {len(texts)} texts")
        if any(isinstance(text, Context) and own is not None for text, own in zip(texts, limits, strict=True)):
            raise UserError("limits beside a Context: it has its own. Give them to `context`, which makes it")
        contexts = [
            text if isinstance(text, Context) else self.context(text, own, decoding.answer_room)
            for text, own in zip(texts, limits, strict=True)
        ]
        with self._lock:
            sequences = self._generate(contexts, Generator(self.model, self._constraints, decoding, self.max_tokens))
        results = [[sequence.infilling(self.token_bytes) for sequence in own] for own in sequences]
        if decoding.by_probability:
            results = [sorted(group, key=lambda result: -result.log_probability) for group in results]
        return results

    def context(self, text: str, limits: Limits | None = None, answer_room: int | None = None) -> Context:
        """A typed text made ready; `limits` for each of its blanks replace those typed.

        `answer_room`: a text too long is cut, so that this many tokens remain for each answer, but that the answers
        take no more than half of what the model does. None refuses it.

        Raises: UserError if it has no blank, leaves no place for the answers, or limits that no answer keeps.
        """
        return self._truncated(Context.parse(text, self.vocabulary, self.token_bytes, limits), answer_room)

    def context_of_spans(self, text: str, spans: Sequence[Span], answer_room: int | None = None) -> Context:
        """A text with the spans of a mask as its blanks; nothing typed in it is taken for one.

        Raises: UserError as `context` does, and for a type of mask that the model has no blank for.
        """
        types = self.vocabulary.mask_types
        if unknown := sorted({span.mask_type for span in spans} - set(types)):
            raise UserError(
                f"The model has no blank for {', '.join(unknown)}: it was trained with {', '.join(types)}. Choose "
                "other masks (masking=...)"
            )
        pieces, _ = cut_out(text, spans)
        blanks = [*(f"[{span.mask_type}]" for span in spans), ""]
        typed = "".join(piece + blank for piece, blank in zip(pieces, blanks, strict=True))
        numbers = [types.index(span.mask_type) for span in spans]
        limits = [NO_LIMITS] * len(spans)
        made = Context.from_pieces(typed, pieces, numbers, limits, self.vocabulary, self.token_bytes)
        return self._truncated(made, answer_room)

    def _truncated(self, context: Context, answer_room: int | None) -> Context:
        least = [self._constraints.min_tokens(context, blank) for blank in range(len(context.types))]
        for own, fewest in zip(context.limits, least, strict=True):
            if fewest == math.inf:
                raise UserError(f"No tokens of the model spell {own.prefix!r}: give another beginning")
            if fewest > (own.max_tokens or fewest):
                begins = f"that begins with {own.prefix!r}" if own.prefix else f"of at least {own.min_words} words"
                raise UserError(
                    f"An answer {begins} has {fewest} tokens or more, not at most {own.max_tokens}: allow more tokens"
                )
        answers = int(sum(least)) + len(least)
        # The least of a context: a blank, and what separates it from the answers.
        if answers + 2 > self.max_tokens:
            raise UserError(
                f"The answers alone take {answers} tokens or more, and the model takes {self.max_tokens}, the text's "
                "among them: ask for fewer blanks or shorter answers"
            )
        fitting = self.max_tokens - answers
        if len(context.ids) <= fitting:
            return context
        if answer_room is None:
            raise UserError(
                f"The text has {len(context.ids)} tokens, and {max(fitting, 0)} fit: the model takes "
                f"{self.max_tokens}, at least {answers} of them for the answers. Shorten it, or set cut=true to read "
                "only what is nearest to the blanks."
            )
        wished = sum(own.max_tokens or max(answer_room, n) for own, n in zip(context.limits, least, strict=True))
        room = max(answers, min(wished + len(least), self.max_tokens // 2))
        return truncate(context, int(self.max_tokens - room), self.vocabulary, self.token_bytes)

    def score(self, text: str | Context, answers: Sequence[str]) -> float:
        """The log-probability in nats of `answers`, with their end tokens, in the blanks of `text`.

        The sum of `answer_scores`; raises what it raises.
        """
        return math.fsum(self.answer_scores(text, answers))

    def answer_scores(self, text: str | Context, answers: Sequence[str]) -> tuple[float, ...]:
        """The log-probability in nats of each answer with its end token, given the text and the answers before it.

        As in evaluation: the filled text is tokenised whole and laid out as a training example. An answer that the
        model wrote in other tokens than the tokenizer's own has another log-probability as an `Infilling`.

        Raises: UserError for the wrong number of answers, an empty one, two that share a token, or too long a text.
        """
        context = text if isinstance(text, Context) else self.context(text)
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
        runs = list(zip(context.types, first.tolist(), last.tolist(), strict=True))
        ids = encoded.input_ids
        example = lay_out(ids, runs, self.vocabulary, INFILLING, max_length=len(ids) + 2 * len(runs) + 1)
        if example.full_length > self.max_tokens:
            raise UserError(
                f"Text and answers have {example.full_length} tokens, and the model takes {self.max_tokens}"
            )
        with self._lock:
            scores = score_examples(self.model, [example], example.full_length, self.model.device)
        # The targets behind the separator: each answer's tokens, and its end.
        of_answers = np.isin(scores.target_types, (TargetType.INFILL, TargetType.INFILL_SPECIAL))
        ends = np.flatnonzero(scores.target_types[of_answers] == TargetType.INFILL_SPECIAL)
        return tuple(-math.fsum(nll) for nll in np.split(scores.nll[of_answers], ends[:-1] + 1))

    def _generate(self, contexts: Sequence[Context], generator: Generator) -> list[list[GeneratedSequence]]:
        """The candidates of each context."""
        decoding = generator.decoding
        if decoding.method == "beam":
            # Of equal contexts one search is enough.
            groups = {context: SequenceGroup.of(context, [0], decoding.seed)[0] for context in contexts}
            generator.generate([*groups.values()])
            return [[replace(sequence) for sequence in groups[context].done] for context in contexts]
        if decoding.method == "greedy":
            return generator.sample([(context, range(1)) for context in contexts])
        if not decoding.distinct:
            return generator.sample([(context, range(decoding.candidates)) for context in contexts])
        # Candidates that read differently, in the order of their numbers.
        found: list[dict[tuple[str, ...], GeneratedSequence]] = [{} for _ in contexts]
        for first in range(0, MAX_ROUNDS * decoding.candidates, decoding.candidates):
            short = [number for number, own in enumerate(found) if len(own) < decoding.candidates]
            numbers = range(first, first + decoding.candidates)
            more = generator.sample([(contexts[number], numbers) for number in short])
            for number, sequences in zip(short, more, strict=True):
                for sequence in sequences:
                    found[number].setdefault(sequence.answers(self.token_bytes), sequence)
        return [[*own.values()][: decoding.candidates] for own in found]


def _with_fused_activations(model: PreTrainedModel) -> PreTrainedModel:
    """The model with torch's own GELU in place of transformers' one of the same formula, which takes nine passes."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
    return model
