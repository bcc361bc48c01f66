"""The log-probabilities of the learner's form and of the corrected one, in one blank of the same text.

    I <|infill_word|> a apple.<|startofinfill|> has<|endofinfill|>      log p(" has" + end | context)
    I <|infill_word|> a apple.<|startofinfill|> have<|endofinfill|>     log p(" have" + end | context)

The rest of the text is the learner's with all other errors (`context` learner), or the corrected text. Both forms have
the same context tokens and the same type of blank: `word` if both are one word, else `ngram`. An edit is counted and
not scored if a form shares a token with its context, since the two contexts would then differ.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ilm.config.evaluate import Forms
from ilm.errors import UserError
from ilm.evaluation.conditions import prefix_values
from ilm.evaluation.forms.edits import Stretch
from ilm.evaluation.kept_lines import KeptLines, Record
from ilm.examples.conditions import prefix_tokens
from ilm.examples.layout import Example, TargetType
from ilm.infilling.blanks import WORD, filled_example
from ilm.infilling.infiller import Infiller
from ilm.progress import ProgressLog
from ilm.runs.trained_model import TrainedModel

NGRAM = "ngram"
KEY = ("writing_id", "edit")
NO_EDIT = "texts without an edit"
INSERTION = "insertions, where the learner wrote nothing"
DELETION = "deletions, where the corrected text has nothing"
SHARED_TOKEN = "a form shares a token with its context"
TOO_LONG = "text too long for the model"


@dataclass(frozen=True)
class Item:
    """An edit as a blank: the text `before` and `after` it, and both forms; `edit` is its number in the text."""

    writing_id: str
    edit: int
    level: str
    l1: str
    kind: str | None
    before: str
    after: str
    learner: str
    corrected: str

    @property
    def key(self) -> tuple[str, int]:
        return self.writing_id, self.edit

    @property
    def words(self) -> int:
        """The number of words of the longer form."""
        return max(len(form.split()) for form in (self.learner, self.corrected))


def items_of(texts: pd.DataFrame, context: str) -> tuple[list[Item], Counter[str]]:
    """(The edits with words on both sides, in the `context` learner or corrected; counts of the others by cause).

    `texts` have the columns writing_id, cefr_level and l1 ("" if unknown), text, corrected, edits.
    """
    items: list[Item] = []
    counts: Counter[str] = Counter()
    for text in texts.itertuples():
        counts[NO_EDIT] += not text.edits
        for number, edit in enumerate(text.edits):
            around = text.text if context == "learner" else text.corrected
            start, length = edit.learner if context == "learner" else edit.corrected
            learner, corrected = _form(text.text, edit.learner), _form(text.corrected, edit.corrected)
            if not learner or not corrected:
                counts[DELETION if learner else INSERTION] += 1
                continue
            about = (text.writing_id, number, text.cefr_level, text.l1, edit.kind)
            items.append(Item(*about, around[:start], around[start + length :], learner, corrected))
    return items, +counts


def _form(text: str, stretch: Stretch) -> str:
    return text[stretch[0] : stretch[0] + stretch[1]]


def score_items(model: TrainedModel, items: Sequence[Item], folder: Path, task: Forms) -> dict[tuple, Record]:
    """A record per item: `learner` and `corrected`, log-probabilities in nats with the end of the answer, or
    `left_out`, why it has none. Those kept in `folder` are read, the others computed.
    """
    kept = KeptLines(folder / "scores" / f"{model.name.replace('/', '_')}-{model.fingerprint()}.jsonl", KEY)
    there = kept.read()
    missing = [item for item in items if item.key not in there]
    if missing:
        infiller = Infiller.of(model, task.device)
        types = [infiller.vocabulary.mask_types.index(name) for name in (WORD, NGRAM) if name in model.mask_types]
        if len(types) < 2:
            raise UserError(
                f"{model.name} was trained with blanks of the types {', '.join(model.mask_types)}, and forms need "
                f"{WORD} and {NGRAM}"
            )
        # The longest texts come first, so that texts that do not fit in memory fail at once.
        missing.sort(key=lambda item: (-len(item.before) - len(item.after), item.key))
        progress = ProgressLog(len(items), model.name, "edits", initial=len(items) - len(missing))
        kept.add(score_batches(infiller, missing, types, task), progress)
    return kept.read()


def score_batches(
    infiller: Infiller, items: Sequence[Item], types: Sequence[int], task: Forms
) -> Iterator[list[Record]]:
    for begin in range(0, len(items), task.batch_size):
        batch = items[begin : begin + task.batch_size]
        pairs = [_examples(infiller, item, types, task.condition) for item in batch]
        examples = [example for pair in pairs if not isinstance(pair, str) for example in pair]
        scores = infiller.score_examples(examples)
        of_answers = np.isin(scores.target_types, (TargetType.INFILL, TargetType.INFILL_SPECIAL))
        log_p = iter(-np.bincount(scores.examples[of_answers], scores.nll[of_answers], len(examples)))
        yield [
            dict(zip(KEY, item.key, strict=True))
            | ({"left_out": pair} if isinstance(pair, str) else {"learner": next(log_p), "corrected": next(log_p)})
            for item, pair in zip(batch, pairs, strict=True)
        ]


def _examples(infiller: Infiller, item: Item, types: Sequence[int], condition: str) -> tuple[Example, Example] | str:
    """The examples of the learner's form and of the corrected one, or why they cannot be compared."""
    values = prefix_values(infiller.condition, {"cefr_level": item.level, "l1": item.l1}, condition)
    prefix = prefix_tokens(values, infiller.vocabulary)
    learner, corrected = (
        filled_example(
            item.before + form + item.after,
            [(len(item.before), len(form))],
            [types[item.words > 1]],
            infiller.vocabulary,
            prefix,
        )
        for form in (item.learner, item.corrected)
    )
    if not np.array_equal(_context(learner), _context(corrected)):
        return SHARED_TOKEN
    return (
        TOO_LONG if max(len(e.input_ids) for e in (learner, corrected)) > infiller.max_tokens else (learner, corrected)
    )


def _context(example: Example) -> np.ndarray:
    """The tokens up to and including the separator."""
    (separator,) = np.flatnonzero(example.target_types == TargetType.CONTEXT_INFILL_SEP)
    return example.input_ids[: separator + 1]
