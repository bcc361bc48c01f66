"""The losses of whole texts under each model, kept so that a killed evaluation goes on.

    left_to_right   each token given those before it, the first one not scored; of models trained on masked texts
                    among their ordinary tokens, so that none lose probability to blanks
    document        <|infill_document|><|startofinfill|> the text <|endofinfill|>: each token and the end, as an answer

They are kept by `ScoreStore`: a text is one example, number 0, and its thirds by tokens are the "blanks" 0 to 2. So a
text's loss is the sum over its thirds, and the end token of `document` is the last one's. Texts under masks
(`task.masks`) are ordinary examples of the objective.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from ilm.config.evaluate import Levels
from ilm.errors import UserError
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore, score_batches
from ilm.examples.dataset import InfillingDataset
from ilm.examples.layout import Example, TargetType
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenize import tokenize
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import digest
from ilm.masking.generate import mask_function, mask_settings
from ilm.masking.sampling import draw_chunk
from ilm.models.left_to_right import score_texts
from ilm.models.packing import row_length
from ilm.models.scoring import score
from ilm.progress import ProgressLog
from ilm.runs.trained_model import TrainedModel

DOCUMENT = "document"
NATIVE = "native"
_TEXTS_AT_ONCE = 64
_THIRDS = 3

# The losses of some texts' tokens, NaN where one is not scored; with `document` that of the end behind them.
TextLosses = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


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

    def scores(self, model: TrainedModel, texts: TextSet) -> Scores:
        """Of whole texts under a run."""
        about = {"weights": model.fingerprint(), "likelihood": self.task.likelihood}
        end = int(self.task.likelihood == DOCUMENT)
        return self._kept(model.name, about, texts, model.vocabulary, end, lambda: self._of_run(model))

    def native_scores(self, model: TrainedModel, texts: TextSet) -> Scores:
        """Of whole texts, left to right, under the pretrained model that a run started from."""
        of = model.trained()[1].model
        about = {"base": of.path, "likelihood": "left_to_right"}
        name = f"{NATIVE}_{of.label}"
        return self._kept(name, about, texts, model.vocabulary, 0, lambda: self._left_to_right(model.load_base(), None))

    def masked_scores(self, model: TrainedModel, texts: TextSet) -> Scores:
        """Of `task.masks` masks of each text, drawn as those of a run's training texts, under it."""
        masking, ids = model.trained()[1].masking, texts.documents["writing_id"]
        settings = replace(mask_settings(texts, masking), count=self.task.masks or 0)
        function, rows = mask_function(masking.function), np.arange(len(ids))
        masks = draw_chunk(function, settings, (rows, ids.tolist(), texts.documents["text"].tolist()))
        about = {"weights": model.fingerprint(), "masks": settings.identity}
        store = self._store(model.name, about, texts)
        with tempfile.TemporaryDirectory() as folder:
            tokens = TokenStore.open_or_make(Path(folder), texts, model.vocabulary, "texts")
            dataset = InfillingDataset(
                rows,
                masks,
                tokens,
                model.vocabulary,
                objective=model.objective,
                max_length=self.task.max_length,
            )
            of_example, examples = dataset.keys()
            keys = pd.MultiIndex.from_arrays([ids.to_numpy()[of_example], examples], names=EXAMPLE)
            missing = np.flatnonzero(store.missing(keys))

            def batches() -> Iterator[Scores]:
                network, _ = model.load()
                options: dict[str, Any] = {
                    "row_tokens": self._row_tokens(),
                    "device": self.device,
                    "batch_size": _TEXTS_AT_ONCE,
                }
                for batch in score_batches(network, dataset, missing, texts.documents, **options):
                    yield batch
                    progress.update(len(batch.examples))

            if len(missing):
                done = len(keys) - len(missing)
                with (
                    store.claimed(),
                    ProgressLog(len(keys), f"{model.name}, masked", "examples", initial=done) as progress,
                ):
                    store.add(batches())
        return store.read_all(keys)

    def _kept(
        self,
        name: str,
        about: Mapping[str, Any],
        texts: TextSet,
        vocabulary: Vocabulary,
        end: int,
        open_model: Callable[[], TextLosses],
    ) -> Scores:
        """The scores of whole texts; the model is opened only if some are missing."""
        documents, store = texts.documents, self._store(name, about, texts)
        keys = pd.MultiIndex.from_arrays([documents["writing_id"], np.zeros(len(documents), int)], names=EXAMPLE)
        missing = documents[store.missing(keys)]

        def batches() -> Iterator[Scores]:
            losses = open_model()
            for begin in range(0, len(missing), _TEXTS_AT_ONCE):
                part = missing.iloc[begin : begin + _TEXTS_AT_ONCE]
                (chunk,) = tokenize(part["text"], vocabulary.tokenizer)
                ids = np.split(chunk.ids, np.cumsum(chunk.counts)[:-1])
                yield _tables(part["writing_id"], losses(ids), end)
                progress.update(len(part))

        if len(missing):
            done = len(documents) - len(missing)
            with store.claimed(), ProgressLog(len(documents), name, "texts", initial=done) as progress:
                store.add(batches())
        return store.read_all(keys)

    def _store(self, name: str, about: Mapping[str, Any], texts: TextSet) -> ScoreStore:
        settings = {"texts": dict(texts.identity), "max_length": self.task.max_length, **about}
        return ScoreStore(self.results, name, settings)

    def _of_run(self, model: TrainedModel) -> TextLosses:
        network, vocabulary = model.load()
        if self.task.likelihood == DOCUMENT:
            return lambda texts: self._as_answers(network.to(self.device), texts, vocabulary)
        return self._left_to_right(network, vocabulary.base_size)

    def _left_to_right(self, network: PreTrainedModel, kept: int | None) -> TextLosses:
        network = network.eval().to(self.device)
        options: dict[str, Any] = {
            "window": self.task.max_length,
            "row_tokens": self._row_tokens(),
            "device": self.device,
        }
        return lambda texts: [scores.nll for scores in score_texts(network, texts, kept=kept, **options)]

    def _as_answers(
        self, network: PreTrainedModel, texts: Sequence[np.ndarray], vocabulary: Vocabulary
    ) -> list[np.ndarray]:
        examples = [list(document_windows(ids, vocabulary, self.task.max_length)) for ids in texts]
        flat = [example for of_text in examples for example in of_text]
        nll = score(network, flat, self._row_tokens(), self.device).nll
        return np.split(nll, np.cumsum([len(ids) + 1 for ids in texts])[:-1])

    def _row_tokens(self) -> int:
        return row_length(None, self.device, self.task.max_length)


def require_document_blank(models: Sequence[TrainedModel]) -> None:
    """Raises: UserError if a model has no blank for a whole document."""
    for model in models:
        if DOCUMENT not in model.mask_types:
            raise UserError(
                f"task.likelihood=document: {model.name} has no blank for a document; its mask types are "
                f"{', '.join(model.mask_types)}. Type task.likelihood=left_to_right"
            )


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


def _tables(writing_ids: pd.Series, losses: Sequence[np.ndarray], end: int) -> Scores:
    """Losses by text (T,), or (T + 1,) with an `end`, summed by thirds."""
    ids, rows = writing_ids.to_numpy(), []
    for writing_id, nll in zip(ids, losses, strict=True):
        tokens = len(nll) - end
        third = _THIRDS * np.arange(tokens) // max(1, tokens)
        scored = ~np.isnan(nll[:tokens])
        sums = np.bincount(third[scored], nll[:tokens][scored], _THIRDS)
        counts = np.bincount(third[scored], minlength=_THIRDS)
        for part in range(_THIRDS):
            last = end if part == _THIRDS - 1 else 0
            rows.append((writing_id, 0, part, sums[part], counts[part], nll[-1] if last else 0.0, last))
    blanks = pd.DataFrame(rows, columns=[*EXAMPLE, "blank", "nll", "targets", "end_nll", "end_targets"])
    lengths = [len(nll) - end for nll in losses]
    return Scores(pd.DataFrame({"writing_id": ids, "example": 0, "tokens": lengths}), blanks)
