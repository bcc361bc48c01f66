"""Kept scores: the NLL of every target, summed by example and by blank, computed once for all reports.

    results/scores/<run>/<key>/
        settings.json      everything the scores depend on; <key> is its hash
        examples.parquet   a row per example: writing_id; example, which of the document's masks; tokens, before the
                           cut; cut; context_nll and context_targets
        blanks.parquet     a row per blank of these examples: writing_id, example, blank; mask_type; start, characters
                           and words of what was cut out; nll and targets of its text; end_nll and end_targets of the
                           token that ends it (in objectives that copy the document, of the token behind it)
        parts/             examples scored since these were written

NLLs are sums in nats (float64), targets their counts: nothing is divided here. An answer beyond the cut has no targets.

Legend: E examples, S blanks of all of them, M targets.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyarrow import ArrowInvalid
from transformers import PreTrainedModel

from ilm.errors import UserError
from ilm.examples.alignment import TokenSpans
from ilm.examples.dataset import InfillingDataset
from ilm.examples.layout import TargetType
from ilm.files import atomic_file, atomic_folder, locked, write_json
from ilm.hashing import digest
from ilm.masking.masks import offsets
from ilm.models.scoring import TargetScores, score
from ilm.progress import ProgressLog

EXAMPLE = ["writing_id", "example"]
# At most this much is lost when an evaluation is killed.
SECONDS_PER_PART = 60.0


@dataclass(frozen=True)
class Scores:
    """The tables `examples` and `blanks`, sorted by writing_id, example and blank."""

    examples: pd.DataFrame
    blanks: pd.DataFrame

    @classmethod
    def joined(cls, parts: Sequence["Scores"]) -> "Scores":
        """The parts as one; an example that is in several is taken from the first."""
        examples = pd.concat([part.examples for part in parts]).drop_duplicates(EXAMPLE)
        blanks = pd.concat([part.blanks for part in parts]).drop_duplicates([*EXAMPLE, "blank"])
        return cls(
            examples.sort_values(EXAMPLE, ignore_index=True),
            blanks.sort_values([*EXAMPLE, "blank"], ignore_index=True),
        )

    def of(self, examples: pd.MultiIndex) -> "Scores":
        """The scores of some examples (writing_id, example)."""
        tables = (self.examples, self.blanks)
        return Scores(*(table[pd.MultiIndex.from_frame(table[EXAMPLE]).isin(examples)] for table in tables))

    def write(self, folder: Path) -> None:
        # An example counts as scored once it is in the table of examples, so blanks are written first.
        for name, table in (("blanks", self.blanks), ("examples", self.examples)):
            with atomic_file(folder / f"{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)

    @classmethod
    def read(cls, folder: Path) -> "Scores":
        """Raises: UserError if a file is missing or damaged."""
        try:
            return cls(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("examples", "blanks")))
        except (ArrowInvalid, FileNotFoundError) as error:
            raise UserError(f"{folder} is damaged ({error}). Delete it: what it held is then scored again.") from error


class ScoreStore:
    """The kept scores of one model under one set of `settings`, below `results`."""

    def __init__(self, results: Path, run: str, settings: Mapping[str, Any]):
        self.folder = results / "scores" / run / digest(settings)
        self._settings = settings
        self._kept: Scores | None = None  # as read

    def complete(
        self, keys: pd.MultiIndex, score: Callable[[np.ndarray], Iterable[Scores]], what: str, unit: str = "examples"
    ) -> Scores:
        """The scores of examples (writing_id, example); those that are missing, by their numbers, are scored first.

        `what` and `unit` are for the progress. Raises: UserError if another process scores the same.
        """
        missing = np.flatnonzero(self.missing(keys))

        def counted() -> Iterator[Scores]:
            for batch in score(missing):
                yield batch
                progress.update(len(batch.examples))

        if len(missing):
            refusal = f"{self.folder} is being written by another evaluation. Wait until it has ended."
            lock = self.folder.with_name(f".{self.folder.name}.lock")
            done = len(keys) - len(missing)
            with (
                locked(lock, refusal, instead="type paths.results=... for another place"),
                ProgressLog(len(keys), what, unit, initial=done) as progress,
            ):
                self.add(counted())
        found = self.read()
        assert found is not None
        return found.of(keys)

    def read(self) -> Scores | None:
        """All kept scores; None if there are none."""
        if self._kept is None:
            found = [self.folder] if (self.folder / "examples.parquet").is_file() else []
            found += sorted(path for path in self.folder.glob("parts/*") if not path.name.startswith("."))
            self._kept = Scores.joined([Scores.read(folder) for folder in found]) if found else None
        return self._kept

    def missing(self, examples: pd.MultiIndex) -> np.ndarray:
        """Which of some examples (writing_id, example) are not scored yet, boolean."""
        there = self.read()
        if there is None:
            return np.ones(len(examples), dtype=bool)
        return ~examples.isin(pd.MultiIndex.from_frame(there.examples[EXAMPLE]))

    def add(self, batches: Iterable[Scores]) -> None:
        """Write scores as they come, at least once per `SECONDS_PER_PART`."""
        write_json(self.folder / "settings.json", dict(self._settings))
        waiting, last_written = [], time.monotonic()
        for batch in batches:
            waiting.append(batch)
            if time.monotonic() - last_written >= SECONDS_PER_PART:
                self._write_part(waiting)
                waiting, last_written = [], time.monotonic()
        if waiting:
            self._write_part(waiting)
        if (all_scores := self.read()) is not None:
            all_scores.write(self.folder)
            shutil.rmtree(self.folder / "parts", ignore_errors=True)

    def _write_part(self, batches: Sequence[Scores]) -> None:
        self._kept, number = None, sum(1 for _ in self.folder.glob("parts/*"))
        with atomic_folder(self.folder / "parts" / f"{number:06}") as temporary:
            Scores.joined(batches).write(temporary)


def score_batches(
    model: PreTrainedModel,
    dataset: InfillingDataset,
    numbers: np.ndarray,
    documents: pd.DataFrame,
    *,
    batch_size: int,
    row_tokens: int,
    device: torch.device,
) -> Iterator[Scores]:
    """Score the examples `numbers`, `batch_size` at a time; `documents` are those of the corpus."""
    model.to(device)
    ids, texts = documents["writing_id"].array, documents["text"].array
    for begin in range(0, len(numbers), batch_size):
        batch = np.asarray(numbers[begin : begin + batch_size])
        laid_out, spans = dataset.lay_out(batch), dataset.token_spans(batch)
        rows, masks = dataset.keys(batch)
        scores = score(model, laid_out, row_tokens, device)
        context = _sums(scores, scores.target_types == TargetType.CONTEXT, scores.examples, len(batch))
        examples = pd.DataFrame(
            {
                "writing_id": ids[rows],
                "example": masks,
                "tokens": laid_out.full_lengths,
                "cut": laid_out.full_lengths > dataset.max_length,
                "context_nll": context[0],
                "context_targets": context[1],
            }
        )
        blank_of_each = blanks_of_targets(scores, spans, reverse=dataset.objective == "reverse_lm")
        text = _sums(scores, scores.target_types == TargetType.INFILL, blank_of_each, len(spans.types))
        end = _sums(scores, scores.target_types == TargetType.INFILL_SPECIAL, blank_of_each, len(spans.types))
        starts, lengths = dataset.character_spans(batch)
        cut_out = (texts[rows[e]][s : s + n] for e, s, n in zip(spans.examples, starts, lengths, strict=True))
        blanks = pd.DataFrame(
            {
                **{name: examples[name].to_numpy()[spans.examples] for name in EXAMPLE},
                "blank": np.arange(len(spans.types)) - spans.offsets[spans.examples],
                "mask_type": pd.Categorical.from_codes(spans.types, dataset.vocabulary.mask_types),
                "start": starts,
                "characters": lengths,
                "words": [len(part.split()) for part in cut_out],
                "nll": text[0],
                "targets": text[1],
                "end_nll": end[0],
                "end_targets": end[1],
            }
        )
        yield Scores(examples, blanks)


def blanks_of_targets(scores: TargetScores, spans: TokenSpans, *, reverse: bool) -> np.ndarray:
    """Which of the S blanks each target belongs to, int64 (M,); meaningless for targets outside of blanks.

    In every objective the masked tokens come in the order of the spans (from the last one if `reverse`), and the
    token that ends an answer right behind its last one.
    """
    is_text = scores.target_types == TargetType.INFILL
    behind_text = scores.target_types == TargetType.INFILL_SPECIAL
    n_before = np.cumsum(is_text) - is_text
    of_examples = np.bincount(scores.examples, is_text, minlength=len(spans.counts)).astype(np.int64)
    within = n_before - (np.cumsum(of_examples) - of_examples)[scores.examples] - behind_text
    order = np.arange(len(spans.types))
    if reverse:
        order = (spans.offsets[1:] + spans.offsets[:-1] - 1)[spans.examples] - order
    tokens_before = offsets((spans.lasts - spans.firsts)[order])
    blank = np.searchsorted(tokens_before, tokens_before[spans.offsets[scores.examples]] + within, side="right") - 1
    return order[np.clip(blank, 0, max(0, len(order) - 1))] if len(order) else np.zeros(len(within), dtype=np.int64)


def _sums(scores: TargetScores, chosen: np.ndarray, groups: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(NLL, number) of the `chosen` targets in each of `n` groups."""
    return np.bincount(groups[chosen], scores.nll[chosen], n), np.bincount(groups[chosen], minlength=n)
