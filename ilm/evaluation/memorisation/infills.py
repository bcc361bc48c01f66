"""A model's answers in the blanks of held-out texts, and how much of them occurs in its training texts.

1. The first masks of each text that have blanks are filled; answers are kept as they are made:

    results/<name>/infills/<run>-<fingerprint>.jsonl    a line per text and mask: writing_id, example, and `answers`, by
                                                        candidate and blank; none if the text is too long

2. An answer's tokens are those that cover it in the filled text; likewise for what the learner wrote.
3. The training texts are searched for the longest stretch of each answer (`ilm.evaluation.memorisation.stretches`), and
   again with the longer of the two answers truncated to the length of the other: more tokens hold longer stretches.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.infill import Decoding
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.kept_lines import KeptLines, Record
from ilm.evaluation.memorisation.stretches import longest_stretches, readings
from ilm.evaluation.texts import tokens_of_texts
from ilm.examples.alignment import align
from ilm.examples.dataset import InfillingDataset
from ilm.examples.token_store import TokenStore
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context, fill_pieces
from ilm.infilling.infiller import Infiller
from ilm.masking.functions import Span
from ilm.masking.preview import cut
from ilm.progress import ProgressLog
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

KEY = ("writing_id", "example")


@dataclass(frozen=True)
class MaskedText:
    """A text, the spans cut out of it, and the tokens of each; `condition`: the values a model is conditioned on."""

    writing_id: str
    example: int
    text: str
    spans: tuple[Span, ...]
    tokens: tuple[np.ndarray, ...]
    condition: dict[str, str | None]

    @property
    def key(self) -> tuple[str, int]:
        return self.writing_id, self.example


def masked_texts(
    dataset: InfillingDataset, corpus: PreparedCorpus, per_document: int, condition: dict[str, list[str]]
) -> list[MaskedText]:
    """The first examples of each document that have blanks, at most this many `per_document`."""
    rows, masks = dataset.keys()
    spans = dataset.token_spans(np.arange(len(dataset)))
    with_blanks = np.flatnonzero(spans.counts)
    turn = pd.Series(rows[with_blanks]).groupby(rows[with_blanks]).cumcount().to_numpy()
    chosen = with_blanks[turn < per_document]
    starts, lengths = dataset.character_spans(np.arange(len(dataset)))
    documents, found = corpus.documents, []
    columns = {name: documents[name].array for name in ("writing_id", "text", *condition)}
    for number in chosen:
        row, types = int(rows[number]), dataset.vocabulary.mask_types
        (tokens,) = dataset.document_tokens(np.array([row]))
        of_example = range(*spans.offsets[[number, number + 1]])
        values = {field: columns[field][row] for field, values in condition.items() if columns[field][row] in values}
        found.append(
            MaskedText(
                columns["writing_id"][row],
                int(masks[number]),
                columns["text"][row],
                tuple(Span(types[spans.types[s]], int(starts[s]), int(lengths[s])) for s in of_example),
                tuple(tokens[spans.firsts[s] : spans.lasts[s]] for s in of_example),
                {"level": values.get("cefr_level"), "l1": values.get("l1")},
            )
        )
    return found


def fill(
    model: TrainedModel, texts: Sequence[MaskedText], decoding: Decoding, kept: KeptLines, device: str
) -> dict[tuple, Record]:
    """The records of the texts' answers by writing_id and example: those kept, and the missing ones generated."""
    there = kept.read()
    missing = [text for text in texts if text.key not in there]
    if missing:
        progress = ProgressLog(len(texts), model.name, "texts filled", initial=len(texts) - len(missing))
        kept.add(_filled(Infiller.of(model, device), missing, decoding), progress)
    return kept.read()


def _filled(infiller: Infiller, texts: Sequence[MaskedText], decoding: Decoding) -> Iterator[list[Record]]:
    at_once = max(1, decoding.batch_size // decoding.candidates)
    for begin in range(0, len(texts), at_once):
        batch = texts[begin : begin + at_once]
        contexts: list[Context | None] = []
        for text in batch:
            own = decoding.model_copy(update=text.condition)
            try:
                contexts.append(infiller.context(text.text, decoding=own, spans=text.spans))
            except UserError as error:
                log.debug("%s left out: %s", text.writing_id, error)
                contexts.append(None)
        candidates = iter(infiller([context for context in contexts if context is not None], decoding))
        yield [
            {
                **dict(zip(KEY, text.key, strict=True)),
                "answers": [] if context is None else [list(one.answers) for one in next(candidates)],
            }
            for text, context in zip(batch, contexts, strict=True)
        ]


def blank_table(
    texts: Sequence[MaskedText],
    records: dict[tuple, Record],
    vocabulary: Vocabulary,
    tokens: TokenStore,
    trained_on: np.ndarray,
    name: str,
) -> pd.DataFrame:
    """A row per answer of a model: the longest stretch that it shares with the documents `trained_on` (rows).

    Columns: writing_id, example, blank, candidate, mask_type; `answer` (the model's) and `learner` (the learner's);
    `tokens` and `longest`, the lengths of the answer and of its longest stretch in tokens; likewise `learner_tokens`,
    `learner_longest`; `equal_longest` and `learner_equal_longest`, with the longer answer truncated to the length of
    the other; `stretch`, the answer's longest stretch, and `source`, the row of a training text that has it (-1: none).
    """
    rows: list[tuple[Any, ...]] = []
    filled: list[tuple[str, tuple[tuple[int, int], ...]]] = []
    own: list[np.ndarray] = []
    for text in texts:
        pieces, learners = cut(text.text, text.spans)
        for candidate, answers in enumerate(records[text.key]["answers"]):
            filled.append(fill_pieces(pieces, answers))
            own += text.tokens
            for blank, (span, answer, learner) in enumerate(zip(text.spans, answers, learners, strict=True)):
                rows.append((*text.key, blank, candidate, span.mask_type, answer, learner))
    written: list[np.ndarray] = []
    found_tokens = tokens_of_texts(pd.Series([text for text, _ in filled], dtype=object), vocabulary)
    for (_, spans), (ids, positions) in zip(filled, found_tokens, strict=True):
        first, last = align(positions, *np.array(spans, dtype=np.int64).T)
        written += [ids[a:b] for a, b in zip(first, last, strict=True)]
    cut_to = [min(len(a), len(b)) for a, b in zip(written, own, strict=True)]
    answers = [*written, *own, *(part[:n] for of in (written, own) for part, n in zip(of, cut_to, strict=True))]
    begins, ends = tokens.offsets[trained_on], tokens.offsets[trained_on + 1]
    with ProgressLog(readings(answers) * int((ends - begins).sum()), name, "training tokens searched") as progress:
        found = longest_stretches(answers, tokens.all_ids, begins, ends, progress.update)
    longest, own_longest, cut_longest, own_cut = np.split(found.lengths, 4)
    starts, sources = found.starts[: len(written)], found.texts[: len(written)]
    table = pd.DataFrame(rows, columns=[*KEY, "blank", "candidate", "mask_type", "answer", "learner"])
    return table.assign(
        tokens=[len(part) for part in written],
        longest=longest,
        learner_tokens=[len(part) for part in own],
        learner_longest=own_longest,
        equal_longest=cut_longest,
        learner_equal_longest=own_cut,
        stretch=[
            vocabulary.decode(part[start : start + n].tolist())
            for part, start, n in zip(written, starts, longest, strict=True)
        ],
        source=np.where(sources < 0, -1, trained_on[sources]),
    )
