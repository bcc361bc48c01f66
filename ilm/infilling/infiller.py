"""Fills blanks with a model of the objective `ilm`.

1. Texts become contexts (`ilm.infilling.blanks`), truncated around the blanks if too long for the model.
2. Candidates are generated as sequences, many at once (`ilm.infilling.generate`).
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

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import condition_prefix, longest_prefix, stored_condition
from ilm.examples.layout import Example, TargetType
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import NO_LIMITS, BlankLimits, Context, filled_example, truncate
from ilm.infilling.candidates import GeneratedSequence, Infilling, draw
from ilm.infilling.constraints import AnswerConstraints
from ilm.infilling.generate import Generator
from ilm.infilling.kv_cache import UNKNOWN
from ilm.infilling.token_bytes import TokenBytes
from ilm.masking.functions import Span
from ilm.masking.preview import cut as cut_out
from ilm.models.devices import usable_device, with_fused_activations
from ilm.models.loading import pretrained_model, require_rows
from ilm.models.scoring import TargetScores
from ilm.models.scoring import score as score_targets
from ilm.runs.trained_model import TrainedModel, model_in

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

DEFAULTS, WHOLE = Decoding(), Decoding(cut=False)
ROW_TOKENS = 4096  # tokens scored in one pass
# Tolerance between cached and plain passes, relative to 1 - log-probability.
MAX_DIFFERENCE, MAX_DIFFERENCE_OF_HALF = 1e-3, 0.2


class Infiller:
    """Fills blanks with a model and its vocabulary. Thread-safe: calls take turns.

    The model is put into eval mode, and GPT-2's GELUs are replaced by torch's faster equivalent.

    `max_tokens`: limit for context and answers together; also limited by the model's positions and attention window.
    `folder`: the model's origin, for messages. `condition`: the fields the model is conditioned on, with known values.

    Raises: UserError if the model has fewer rows than the vocabulary, computes NaN, or has an architecture whose cached
    passes differ from plain ones.
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
        rows = model.get_output_embeddings().weight.shape[0]
        self._constraints = AnswerConstraints(vocabulary, self.token_bytes, rows, model.device)
        self._lock = threading.Lock()
        self._verify()

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto", dtype: str = "float32") -> "Infiller":
        """The model in a run's folder (experiments/NAME) or any folder in Hugging Face format with infilling tokens.

        A model trained from random weights is limited to its training length, since it has never seen later positions.
        `device`: auto (a GPU if there is one), cpu, cuda, cuda:1, mps. `dtype`: of the weights, float32 or bfloat16,
        which halves memory and rounds log-probabilities to two or three digits.

        Raises: UserError if there is no model, it has no infilling tokens, its run had another objective, or the
        device does not exist.
        """
        return cls.of(model_in(Path(path)), device, dtype)

    @classmethod
    def of(cls, trained: TrainedModel, device: str = "auto", dtype: str = "float32") -> "Infiller":
        """As `from_pretrained`, for a model found by `ilm.runs.finder`."""
        place = usable_device(device, "device")
        if dtype not in DTYPES:
            raise UserError(f"dtype={dtype}: expected one of {', '.join(DTYPES)}")
        trained.require_infilling()
        settings = trained.settings
        model = pretrained_model(str(trained.path)).to(place, DTYPES[dtype])
        longest = longest_prefix(stored_condition(model.config), trained.vocabulary)
        from_scratch = settings is not None and not settings.model.pretrained
        max_tokens = settings.data.max_length + longest if settings and from_scratch else None
        return cls(model, trained.vocabulary, max_tokens, trained.path)

    def __call__(
        self, texts: str | Context | Sequence[str | Context], decoding: Decoding = DEFAULTS
    ) -> list[list[Infilling]]:
        """Fill the blanks of texts; returns the candidates of each, in order. A string counts as a list of one text.

        Results do not depend on other texts or the batch size, apart from floating-point differences in the model.

        Raises: UserError for a text without blanks, or too long for the model (see `context`).
        """
        texts = [texts] if isinstance(texts, str | Context) else texts
        contexts = [text if isinstance(text, Context) else self.context(text, decoding=decoding) for text in texts]
        if decoding.method == "beam":
            with self._lock:
                results = self._finished(self._generator(decoding).search(contexts))
        else:
            results = draw(contexts, decoding, self.sample)
        if decoding.by_probability:
            results = [sorted(group, key=lambda result: -result.log_probability) for group in results]
        return results

    def sample(self, wanted: Sequence[tuple[Context, Sequence[int]]], decoding: Decoding) -> list[list[Infilling]]:
        """For each context, the candidates with these numbers, sampled or greedy."""
        with self._lock:
            return self._finished(self._generator(decoding).sample(wanted))

    def _generator(self, decoding: Decoding) -> Generator:
        return Generator(self.model, self._constraints, decoding, self.max_tokens)

    def _finished(self, found: Sequence[Sequence[GeneratedSequence]]) -> list[list[Infilling]]:
        return [[sequence.infilling(self.token_bytes) for sequence in own] for own in found]

    def context(
        self,
        text: str,
        limits: Sequence[BlankLimits | None] | None = None,
        decoding: Decoding = WHOLE,
        spans: Sequence[Span] | None = None,
    ) -> Context:
        """Prepare a text for filling.

        `limits`: limits for each blank; None: as typed. `decoding`: `level` and `l1` are the conditions; with `cut` a
        text that is too long is truncated, leaving `max_answer_tokens` for each answer, but at most half of the model's
        limit in total. `spans`: spans of a mask to use as blanks, instead of those typed in the text.

        Raises: UserError if there is no blank, a mask type or condition is unknown to the model, the text leaves no
        room for answers, or no answer can meet the limits.
        """
        prefix = condition_prefix(self.condition, self.vocabulary, decoding)
        max_tokens = self.max_tokens - len(prefix)
        context = Context.parse(text, self.token_bytes) if spans is None else self._of_spans(text, spans)
        if limits is not None:
            if len(limits) != len(context.types):
                raise UserError(f"The text has {len(context.types)} blanks, but limits are given for {len(limits)}")
            pairs = zip(context.limits, limits, strict=True)
            context = replace(context, limits=tuple(typed if own is None else own for typed, own in pairs))
        least = [self._min_tokens(context, blank) for blank in range(len(context.types))]
        answers = sum(least) + len(least)
        if answers + 2 > max_tokens:  # a context has at least a blank and the separator
            raise UserError(
                f"The answers alone take at least {answers} tokens, but the model is limited to {max_tokens} with the "
                "text: use fewer blanks or shorter answers"
            )
        fitting = max_tokens - answers
        if len(context.ids) <= fitting:
            return context.after(prefix)
        if not decoding.cut:
            raise UserError(
                f"The text has {len(context.ids)} tokens, but only {max(fitting, 0)} fit: the model is limited to "
                f"{max_tokens}, at least {answers} of them for the answers. Shorten it, or set cut=true to read "
                "only what is nearest to the blanks."
            )
        most = decoding.max_answer_tokens
        wished = sum(own.max_tokens or max(most, n) for own, n in zip(context.limits, least, strict=True))
        room = max(answers, min(wished + len(least), max_tokens // 2))
        return truncate(context, int(max_tokens - room), self.token_bytes).after(prefix)

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
        return Context.from_pieces(typed, pieces, numbers, [NO_LIMITS] * len(spans), self.token_bytes)

    def _min_tokens(self, context: Context, blank: int) -> int:
        """Minimum tokens of an answer. Raises: UserError if no answer is within the limits."""
        fewest, limits = self._constraints.min_tokens(context, blank), context.limits[blank]
        if fewest == math.inf:
            raise UserError(f"No tokens of the model spell {limits.prefix!r}: type another prefix")
        if fewest > (limits.max_tokens or fewest):
            begins = f"that begins with {limits.prefix!r}" if limits.prefix else f"of at least {limits.min_words} words"
            raise UserError(
                f"An answer {begins} has at least {fewest} tokens, not at most {limits.max_tokens}: allow more tokens"
            )
        return int(fewest)

    def score(self, text: str | Context, answers: Sequence[str]) -> float:
        """The log-probability in nats of `answers` with end tokens: the sum of `answer_scores`. Raises: the same."""
        return math.fsum(self.answer_scores(text, answers))

    def answer_scores(self, text: str | Context, answers: Sequence[str]) -> tuple[float, ...]:
        """The log-probability in nats of each answer with its end token, given the text and earlier answers.

        As in evaluation, the filled text is tokenised as a whole and laid out as a training example. An answer that was
        generated in other tokens therefore has another log-probability as an `Infilling`.

        Raises: UserError for a wrong number of answers, an empty one, two that share a token, too long a text, or if
        the model computes NaN.
        """
        context = text if isinstance(text, Context) else self.context(text)
        if len(answers) != len(context.types) or not all(answers):
            raise UserError(f"expected {len(context.types)} answers, one per blank and none empty; got {answers}")
        filled, spans = context.fill(answers)
        before, after = context.left_out
        read, places = filled[before : len(filled) - after], [(start - before, length) for start, length in spans]
        example = filled_example(read, places, context.types, self.vocabulary, context.prefix)
        length = len(example.input_ids)
        if length > self.max_tokens:
            raise UserError(f"Text and answers have {length} tokens, but the model is limited to {self.max_tokens}")
        scores = self.score_examples([example])
        if np.isnan(scores.nll).any():
            raise UserError("The model computes NaN: its weights are damaged.")
        # The targets after the separator: each answer's tokens and its end.
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

        An architecture may have a state (Mamba), look to the right (BERT), or count positions differently; generation
        would then be silently wrong.

        Raises: UserError if token probabilities differ, or the model's attention cannot be replaced.
        """
        blank, start = int(self.vocabulary.blanks[0]), self.vocabulary.start_of_infill  # exist in every vocabulary
        limits = (BlankLimits(3, 3),)
        most = MAX_DIFFERENCE if self.model.dtype.itemsize >= 4 else MAX_DIFFERENCE_OF_HALF
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
