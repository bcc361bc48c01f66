"""Filling blanks with a model of the objective `ilm`.

1. Texts become contexts (`ilm.infilling.blanks`); of one too long for the model, what is near its blanks.
2. Every candidate of a text is a sequence; many are generated together (`ilm.infilling.generate`).
3. Finished sequences become `Infilling`s, in the order of the texts.
"""

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import longest_line, stored_condition
from ilm.examples.layout import Example, TargetType
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import NO_LIMITS, BlankLimits, Context, truncate
from ilm.infilling.candidates import GeneratedSequence, Infilling, draw
from ilm.infilling.conditions import tokens_told
from ilm.infilling.constraints import AnswerConstraints
from ilm.infilling.filled import filled_example
from ilm.infilling.generate import Generator
from ilm.infilling.kv_cache import UNKNOWN
from ilm.infilling.token_bytes import TokenBytes
from ilm.masking.functions import Span
from ilm.masking.preview import cut as cut_out
from ilm.models.activations import with_fused_activations
from ilm.models.devices import usable_device
from ilm.models.loading import pretrained_model, require_rows
from ilm.models.scoring import TargetScores
from ilm.models.scoring import score as score_targets
from ilm.runs.trained_model import TrainedModel, model_in

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

DEFAULTS = Decoding()
ROW_TOKENS = 4096  # scored in one pass
# Between cached and plain passes, relative to 1 - log-probability, of the weights' type.
MAX_DIFFERENCE = {torch.float32: 1e-3, torch.float64: 1e-3}
MAX_DIFFERENCE_OF_HALF = 0.2


class Infiller:
    """A model and its vocabulary, to fill blanks with. Threads may share one: they take turns.

    The model is put into eval mode, and its GELUs of GPT-2 become torch's own, of the same formula and faster.

    `max_tokens` bounds context and answers together; it is never more than the model's positions or its window of
    attention. `folder` is where the model came from, for messages. `condition`: what a conditioned model is told of a
    text, with the values that it knows.

    Raises: UserError if the model has fewer rows than the vocabulary, an architecture whose cached passes differ from
    plain ones, or computes NaN.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        max_tokens: int | None = None,
        folder: str | Path = "the model",
    ):
        require_rows(model, vocabulary, folder)
        self.model, self.vocabulary = with_fused_activations(model.eval()), vocabulary
        self.condition = stored_condition(model.config)
        own = [getattr(model.config, name, None) for name in ("max_position_embeddings", "sliding_window")]
        self.max_tokens: float = min((n for n in (max_tokens, *own) if n is not None), default=math.inf)
        self.token_bytes = TokenBytes(vocabulary)
        self._tokens = vocabulary, self.token_bytes
        rows = model.get_output_embeddings().weight.shape[0]
        self._constraints = AnswerConstraints(vocabulary, self.token_bytes, rows, model.device)
        self._lock = threading.Lock()
        self._verify()

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
        settings = trained.settings
        model = pretrained_model(str(trained.path)).to(place, DTYPES[dtype])
        told = longest_line(stored_condition(model.config), trained.vocabulary)
        from_scratch = settings is not None and not settings.model.pretrained
        max_tokens = settings.data.max_length + told if settings and from_scratch else None
        return cls(model, trained.vocabulary, max_tokens, trained.path)

    def __call__(
        self, texts: str | Context | Sequence[str | Context], decoding: Decoding = DEFAULTS
    ) -> list[list[Infilling]]:
        """Fill the blanks of texts: for each one, in order, its candidates. One string is a list of one text.

        A result depends neither on the other texts nor on the batch size, as far as the model's arithmetic does not.

        Raises: UserError for a text without a blank or too long for the model (see `context`).
        """
        texts = [texts] if isinstance(texts, str | Context) else texts
        options: dict[str, Any] = {"answer_room": decoding.answer_room, "level": decoding.level, "l1": decoding.l1}
        contexts = [text if isinstance(text, Context) else self.context(text, **options) for text in texts]
        if decoding.method == "beam":
            # Equal contexts share one search.
            with self._lock:
                of_contexts = self._generator(decoding).search(contexts)
            results = self._finished(of_contexts[context] for context in contexts)
        else:
            results = draw(contexts, decoding, partial(self.sample, decoding=decoding))
        if decoding.by_probability:
            results = [sorted(group, key=lambda result: -result.log_probability) for group in results]
        return results

    def sample(self, wanted: Sequence[tuple[Context, Sequence[int]]], decoding: Decoding) -> list[list[Infilling]]:
        """The candidates of these numbers, of each context, sampled or greedy."""
        with self._lock:
            return self._finished(self._generator(decoding).sample(wanted))

    def _generator(self, decoding: Decoding) -> Generator:
        return Generator(self.model, self._constraints, decoding, self.max_tokens)

    def _finished(self, found: Iterable[Sequence[GeneratedSequence]]) -> list[list[Infilling]]:
        return [[sequence.infilling(self.token_bytes) for sequence in own] for own in found]

    def context(
        self,
        text: str,
        limits: Sequence[BlankLimits | None] | None = None,
        answer_room: int | None = None,
        spans: Sequence[Span] | None = None,
        level: str | None = None,
        l1: str | None = None,
    ) -> Context:
        """A text made ready to be filled.

        `limits`: for each blank what its answer may be; None leaves what was typed. `spans`: the spans of a mask are
        the blanks, and nothing typed in the text is taken for one. `answer_room`: a text too long is cut, so that this
        many tokens remain for each answer, but the answers take no more than half of what the model does; None refuses
        such a text. `level` and `l1`: what a conditioned model is told of the text.

        Raises: UserError if it has no blank, a mask type that the model does not know, leaves no place for the answers,
        limits that no answer keeps, or is to be told what it does not know.
        """
        told = tokens_told(self.condition, self.vocabulary, {"level": level, "l1": l1})
        max_tokens = self.max_tokens - len(told)
        context = Context.parse(text, *self._tokens) if spans is None else self._of_spans(text, spans)
        if limits is not None:
            if len(limits) != len(context.types):
                raise UserError(f"The text has {len(context.types)} blanks, and limits are given for {len(limits)}")
            pairs = zip(context.limits, limits, strict=True)
            context = replace(context, limits=tuple(typed if own is None else own for typed, own in pairs))
        least = [self._min_tokens(context, blank) for blank in range(len(context.types))]
        answers = sum(least) + len(least)
        if answers + 2 > max_tokens:  # the least of a context: a blank and the separator
            raise UserError(
                f"The answers alone take {answers} tokens or more, and the model takes {max_tokens}, the text's "
                "among them: ask for fewer blanks or shorter answers"
            )
        fitting = max_tokens - answers
        if len(context.ids) <= fitting:
            return context.after(told)
        if answer_room is None:
            raise UserError(
                f"The text has {len(context.ids)} tokens, and {max(fitting, 0)} fit: the model takes "
                f"{max_tokens}, at least {answers} of them for the answers. Shorten it, or set cut=true to read "
                "only what is nearest to the blanks."
            )
        wished = sum(own.max_tokens or max(answer_room, n) for own, n in zip(context.limits, least, strict=True))
        room = max(answers, min(wished + len(least), max_tokens // 2))
        return truncate(context, int(max_tokens - room), *self._tokens).after(told)

    def _of_spans(self, text: str, spans: Sequence[Span]) -> Context:
        types = self.vocabulary.mask_types
        if unknown := sorted({span.mask_type for span in spans} - set(types)):
            raise UserError(
                f"The model has no blank for {', '.join(unknown)}: it was trained with {', '.join(types)}. Choose "
                "other masks (masking=...)"
            )
        pieces, _ = cut_out(text, spans)
        typed = "".join(f"{piece}[{span.mask_type}]" for piece, span in zip(pieces, spans, strict=False)) + pieces[-1]
        numbers = [types.index(span.mask_type) for span in spans]
        return Context.from_pieces(typed, pieces, numbers, [NO_LIMITS] * len(spans), *self._tokens)

    def _min_tokens(self, context: Context, blank: int) -> int:
        """The fewest tokens of an answer. Raises: UserError if there is no answer within the limits."""
        fewest, limits = self._constraints.min_tokens(context, blank), context.limits[blank]
        if fewest == math.inf:
            raise UserError(f"No tokens of the model spell {limits.prefix!r}: give another beginning")
        if fewest > (limits.max_tokens or fewest):
            begins = f"that begins with {limits.prefix!r}" if limits.prefix else f"of at least {limits.min_words} words"
            raise UserError(
                f"An answer {begins} has {fewest} tokens or more, not at most {limits.max_tokens}: allow more tokens"
            )
        return int(fewest)

    def score(self, text: str | Context, answers: Sequence[str]) -> float:
        """The log-probability in nats of `answers`, with their end tokens, in the blanks of `text`.

        The sum of `answer_scores`; raises what it raises.
        """
        return math.fsum(self.answer_scores(text, answers))

    def answer_scores(
        self, text: str | Context, answers: Sequence[str], told: tuple[int, ...] = ()
    ) -> tuple[float, ...]:
        """The log-probability in nats of each answer with its end token, given the text and the answers before it.

        As in evaluation: the filled text is tokenised whole and laid out as a training example. An answer that the
        model wrote in other tokens than the tokenizer's own has another log-probability as an `Infilling`. `told`: of a
        text that is no Context, the tokens that tell of it.

        Raises: UserError for the wrong number of answers, an empty one, two that share a token, or too long a text.
        """
        context = text if isinstance(text, Context) else self.context(text).after(told)
        if len(answers) != len(context.types) or not all(answers):
            raise UserError(f"{len(context.types)} blanks need as many answers, none of them empty: got {answers}")
        filled, spans = context.fill(answers)
        example = filled_example(filled, spans, context.types, self.vocabulary, context.told)
        length = len(example.input_ids)
        if length > self.max_tokens:
            raise UserError(f"Text and answers have {length} tokens, and the model takes {self.max_tokens}")
        scores = self.score_examples([example])
        # The targets behind the separator: each answer's tokens, and its end.
        of_answers = np.isin(scores.target_types, (TargetType.INFILL, TargetType.INFILL_SPECIAL))
        ends = np.flatnonzero(scores.target_types[of_answers] == TargetType.INFILL_SPECIAL)
        return tuple(-math.fsum(nll) for nll in np.split(scores.nll[of_answers], ends[:-1] + 1))

    def score_examples(self, examples: Sequence[Example]) -> TargetScores:
        """The NLL of every target, as evaluation computes it."""
        longest = max((len(example.input_ids) for example in examples), default=0)
        with self._lock:
            return score_targets(self.model, examples, max(longest, ROW_TOKENS), self.model.device)

    @torch.inference_mode()
    def _verify(self) -> None:
        """Compare candidates of two contexts with plain passes of the model.

        An architecture may keep a state of its own (Mamba), look to the right (BERT), or count positions in another
        way. It would generate something else than the model means, and nothing would tell.

        Raises: UserError if a token has another probability there, or the model's attention cannot be replaced.
        """
        blank, start = int(self.vocabulary.blanks[0]), self.vocabulary.start_of_infill  # in every vocabulary
        limits, most = (BlankLimits(3, 3),), MAX_DIFFERENCE.get(self.model.dtype, MAX_DIFFERENCE_OF_HALF)
        texts = ((start, blank, start), (blank, start, start, blank, start))
        contexts = [Context("", ("", ""), (0,), limits, (False,), ids) for ids in texts]
        generator = self._generator(Decoding(top_p=None, max_answer_words=None))
        sequences = generator.sample([(context, range(2)) for context in contexts])
        for context, pair in zip(contexts, sequences, strict=True):
            for sequence in pair:
                answer, values = sequence.token_ids[0], sequence.token_log_probabilities[0]
                read = torch.tensor([[*context.ids, *answer]], device=self.model.device)
                logits = self.model(input_ids=read, use_cache=False).logits[0, len(context.ids) - 1 : -1]
                expected = logits.float().log_softmax(-1).gather(1, read[0, len(context.ids) :, None])[:, 0].cpu()
                if not bool(((torch.tensor(values) - expected).abs() <= most * (1 - expected)).all()):
                    raise UserError(f"{type(self.model).__name__} {UNKNOWN}")
