"""The losses of whole texts under each model, kept so that a killed evaluation resumes, and features made of them.

    left_to_right   each token given those before it, the first one not scored; probabilities are renormalised without
                    the infilling tokens, so that models trained on masked texts lose none to blanks
    document        <|infill_document|><|startofinfill|> the text <|endofinfill|>: each token and the end, as an answer

`ScoreStore` keeps them: a text is one example, number 0, and its thirds by tokens are the "blanks" 0 to 2. A text's
loss is the sum over its thirds; the end token of `document` belongs to the last. Texts under masks (`task.masks`) are
ordinary examples of the objective.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from ilm.config.evaluate import Levels
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore, score_batches
from ilm.evaluation.texts import tokens_of_texts
from ilm.examples.dataset import InfillingDataset
from ilm.examples.layout import Example, TargetType
from ilm.examples.token_store import TokenStore
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import digest
from ilm.masking.generate import mask_function, mask_settings
from ilm.masking.sampling import draw_chunk
from ilm.models.left_to_right import score_texts
from ilm.models.packing import row_length
from ilm.models.scoring import score
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

DOCUMENT = "document"
NATIVE = "native"
LOG_TOKENS = "log_tokens"
_TEXTS_AT_ONCE = 64
_THIRDS = 3

Models = Mapping[str, Sequence[TrainedModel]]
"""The runs of each level, and of all; several are seeds of one model."""


@dataclass(frozen=True)
class TextSet:
    """Texts to be scored: `documents` with writing_id and text; `identity` says which texts their ids mean."""

    documents: pd.DataFrame
    identity: Mapping[str, Any]

    @property
    def documents_hash(self) -> str:
        return digest(dict(self.identity))


@dataclass(frozen=True)
class Scorer:
    """How texts are scored, and where scores are kept."""

    task: Levels
    results: Path
    device: torch.device

    def features(self, models: Models, texts: TextSet) -> pd.DataFrame:
        """`features_of` the texts under all models.

        If all runs started from one pretrained model, that model is scored too (`NATIVE`).
        """
        scores: dict[str, list[Scores]] = {}
        masked: dict[str, list[Scores]] = {}
        runs = [(level, run) for level, of_level in models.items() for run in of_level]
        for number, (level, run) in enumerate(runs, start=1):
            log.info("model %d of %d: %s", number, len(runs), run.name)
            scores.setdefault(level, []).append(self._scores(run, texts))
            if self.task.masks is not None:
                masked.setdefault(level, []).append(self._masked_scores(run, texts))
        bases = [run.trained()[1].model for _, run in runs]
        if all(base.pretrained for base in bases) and len({base.path for base in bases}) == 1:
            base, run = bases[0], runs[0][1]
            log.info("the pretrained model: %s", base.path)
            name, about = f"{NATIVE}_{base.label}", {"base": base.path, "likelihood": "left_to_right"}
            losses = partial(self._left_to_right, None)
            scores[NATIVE] = [self._whole_texts(name, about, texts, run.vocabulary, run.load_base, losses)]
        return features_of(texts.documents, scores, masked)

    def _scores(self, model: TrainedModel, texts: TextSet) -> Scores:
        """Of whole texts under a run."""
        vocabulary = model.vocabulary
        losses = partial(self._left_to_right, vocabulary.base_size)
        if self.task.likelihood == DOCUMENT:
            losses = partial(self._as_answers, vocabulary)
        about = {"weights": model.fingerprint(), "likelihood": self.task.likelihood}
        return self._whole_texts(model.name, about, texts, vocabulary, lambda: model.load()[0], losses)

    def _masked_scores(self, model: TrainedModel, texts: TextSet) -> Scores:
        """Of `task.masks` masks of each text, drawn as for a run's training texts, under it."""
        masking, ids = model.trained()[1].masking, texts.documents["writing_id"]
        settings = replace(mask_settings(texts, masking), count=self.task.masks or 0)
        masks = draw_chunk(mask_function(masking.function), settings, texts.documents.reset_index(drop=True))
        about = {"weights": model.fingerprint(), "masks": settings.identity}
        with tempfile.TemporaryDirectory() as folder:
            tokens = TokenStore.open_or_make(Path(folder), texts, model.vocabulary, "texts")
            dataset = InfillingDataset(
                *(masks.documents, masks, tokens, model.vocabulary),
                objective=model.objective,
                max_length=self.task.max_length,
            )
            of_example, numbers = dataset.keys()
            keys = pd.MultiIndex.from_arrays([ids.to_numpy()[of_example], numbers], names=EXAMPLE)

            def masked(missing: np.ndarray) -> Iterator[Scores]:
                return score_batches(
                    *(model.load()[0], dataset, missing, texts.documents),
                    batch_size=_TEXTS_AT_ONCE,
                    row_tokens=self._row_tokens(),
                    device=self.device,
                )

            return self._store(model.name, about, texts).complete(keys, masked, f"{model.name}, masked")

    def _whole_texts(
        self,
        name: str,
        about: Mapping[str, Any],
        texts: TextSet,
        vocabulary: Vocabulary,
        load: Callable[[], PreTrainedModel],
        losses: Callable[[PreTrainedModel, Sequence[np.ndarray]], list[np.ndarray]],
    ) -> Scores:
        """The scores of whole texts; the model is loaded only if some are missing."""
        documents = texts.documents
        keys = pd.MultiIndex.from_arrays([documents["writing_id"], np.zeros(len(documents), int)], names=EXAMPLE)

        def whole(missing: np.ndarray) -> Iterator[Scores]:
            network = load().eval().to(self.device)
            for begin in range(0, len(missing), _TEXTS_AT_ONCE):
                part = documents.iloc[missing[begin : begin + _TEXTS_AT_ONCE]]
                ids = [ids for ids, _ in tokens_of_texts(part["text"], vocabulary)]
                yield _by_thirds(part["writing_id"], ids, losses(network, ids))

        return self._store(name, about, texts).complete(keys, whole, name, "texts")

    def _store(self, name: str, about: Mapping[str, Any], texts: TextSet) -> ScoreStore:
        settings = {"texts": dict(texts.identity), "max_length": self.task.max_length, **about}
        return ScoreStore(self.results, name, settings)

    def _left_to_right(
        self, kept: int | None, network: PreTrainedModel, texts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Losses of each text (T,), NaN where a token is not scored."""
        window, row_tokens = self.task.max_length, self._row_tokens()
        found = score_texts(network, texts, window=window, row_tokens=row_tokens, device=self.device, kept=kept)
        return [scores.nll for scores in found]

    def _as_answers(
        self, vocabulary: Vocabulary, network: PreTrainedModel, texts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Losses of each text and its end (T + 1,)."""
        windows = [window for ids in texts for window in document_windows(ids, vocabulary, self.task.max_length)]
        nll = score(network, windows, self._row_tokens(), self.device).nll
        return np.split(nll, np.cumsum([len(ids) + 1 for ids in texts])[:-1])

    def _row_tokens(self) -> int:
        return row_length(None, self.device, self.task.max_length)


def document_windows(ids: np.ndarray, vocabulary: Vocabulary, window: int) -> Iterator[Example]:
    """Examples of a text as the answer of a document blank, whose targets are all its tokens and the end, each once.

    The blank and the separator stand before every window; windows overlap by half.
    """
    blank = vocabulary.blanks[vocabulary.mask_types.index(DOCUMENT)]
    prefix, answer = [blank, vocabulary.start_of_infill], np.append(ids, vocabulary.end_of_infill)
    size, scored = window - len(prefix), 0
    while scored < len(answer):
        begin = max(0, scored - size // 2)
        part = np.concatenate([prefix, answer[begin : begin + size]]).astype(np.int32)
        types = np.full(len(part), TargetType.INFILL, dtype=np.uint8)
        types[: len(prefix) + scored - begin] = TargetType.CONTEXT_SPECIAL
        yield Example(part, types, len(part))
        scored = begin + len(part) - len(prefix)


def _by_thirds(writing_ids: pd.Series, texts: Sequence[np.ndarray], losses: Sequence[np.ndarray]) -> Scores:
    """Losses by text (T,), or (T + 1,) with its end, summed by thirds."""
    rows = []
    for writing_id, ids, nll in zip(writing_ids, texts, losses, strict=True):
        size = len(ids)
        third = _THIRDS * np.arange(size) // max(1, size)
        scored = ~np.isnan(nll[:size])
        sums = np.bincount(third[scored], nll[:size][scored], _THIRDS)
        counts = np.bincount(third[scored], minlength=_THIRDS)
        for part in range(_THIRDS):
            last = len(nll) - size if part == _THIRDS - 1 else 0
            rows.append((writing_id, 0, part, sums[part], counts[part], nll[-1] if last else 0.0, last))
    blanks = pd.DataFrame(rows, columns=[*EXAMPLE, "blank", "nll", "targets", "end_nll", "end_targets"])
    examples = pd.DataFrame({"writing_id": writing_ids.to_numpy(), "example": 0, "tokens": [*map(len, texts)]})
    return Scores(examples, blanks)


def features_of(
    documents: pd.DataFrame, scores: Mapping[str, Sequence[Scores]], masked: Mapping[str, Sequence[Scores]]
) -> pd.DataFrame:
    """A row per document, indexed by writing_id in the order of `documents`; scores are joined by id.

    `scores` are those of each model, `masked` those of masked texts; of several seeds the mean is taken. Columns:
    tokens, log_tokens, and in nats per token `MODEL`, `MODEL_third1` to 3, `MODEL_MASKTYPE`; NaN without targets.
    """
    index = pd.Index(documents["writing_id"], name="writing_id")
    tokens = next(iter(scores.values()))[0].examples.set_index("writing_id")["tokens"].reindex(index)
    tables = [pd.DataFrame({"tokens": tokens, LOG_TOKENS: np.log(tokens.where(tokens > 0))})]
    tables += [_mean(_per_token, seeds, index).set_axis([model], axis=1) for model, seeds in scores.items()]
    for model, seeds in [*scores.items(), *masked.items()]:
        tables.append(_mean(_by_part, seeds, index).add_prefix(f"{model}_"))
    return pd.concat(tables, axis=1)


def _mean(of: Callable[[pd.DataFrame], pd.DataFrame], seeds: Sequence[Scores], index: pd.Index) -> pd.DataFrame:
    tables = [of(scores.blanks).reindex(index) for scores in seeds]
    return sum(tables[1:], start=tables[0]) / len(tables)


def _per_token(blanks: pd.DataFrame) -> pd.DataFrame:
    """The loss of each text, its end included."""
    sums = blanks.groupby("writing_id")[["nll", "targets", "end_nll", "end_targets"]].sum()
    targets = (sums["targets"] + sums["end_targets"]).replace(0, np.nan)
    return ((sums["nll"] + sums["end_nll"]) / targets).to_frame()


def _by_part(blanks: pd.DataFrame) -> pd.DataFrame:
    """The loss of answers without their ends, by mask type, or of the tokens of each third: third1 to third3."""
    parts = blanks["mask_type"].astype(str) if "mask_type" in blanks else "third" + (blanks["blank"] + 1).astype(str)
    sums = blanks.groupby(["writing_id", parts])[["nll", "targets"]].sum()
    return (sums["nll"] / sums["targets"].replace(0, np.nan)).unstack()
