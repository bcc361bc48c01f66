"""A text with its blanks filled, as the example that a model is trained on."""

from collections.abc import Sequence

import numpy as np

from ilm.errors import UserError
from ilm.examples.alignment import align
from ilm.examples.layout import Example, Examples, lay_out, tell
from ilm.examples.tokenize import token_positions
from ilm.examples.vocabulary import Vocabulary
from ilm.runs.trained_model import INFILLING


def filled_example(
    text: str,
    spans: Sequence[tuple[int, int]],
    types: Sequence[int],
    vocabulary: Vocabulary,
    told: Sequence[int] = (),
) -> Example:
    """The example of a text with answers at `spans`, (start, length) in characters; it is tokenised whole.

    `types`: of each blank the index of its mask type; `told`: tokens that tell of the text.

    Raises: UserError if two answers share a token.
    """
    encoded = vocabulary.tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    starts, lengths = np.array(spans).T
    first, last = align(token_positions(encoded.offset_mapping, len(text)), starts, lengths)
    if (first[1:] < last[:-1]).any():
        raise UserError("Two answers share a token. Leave a space between the blanks.")
    runs = list(zip(types, first.tolist(), last.tolist(), strict=True))
    ids = encoded.input_ids
    example = lay_out(ids, runs, vocabulary, INFILLING, max_length=len(ids) + 2 * len(runs) + 1)
    return tell(Examples.of([example]), [np.array(told, dtype=np.int32)])[0]
