"""Mask statistics: rates, counts and types of the masked spans, to compare with the settings and the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilm.masking.masks import Masks
from ilm.tables import TextTable


@dataclass(frozen=True)
class MaskCounts:
    """Sums over the masks of some documents; two of them add up to those of both."""

    documents: int
    requested: int  # examples asked for: documents x masks per document
    examples: int  # masks that were kept
    without_span: int  # examples whose mask is empty
    fewest: int  # examples of the document that has fewest
    most: int
    characters: int  # each document's length once for each of its examples
    masked_characters: int
    spans: tuple[int, ...]  # by mask type

    @classmethod
    def of(cls, masks: Masks, text_lengths: np.ndarray, mask_types: Sequence[str], requested: int) -> "MaskCounts":
        """Counts over the masks of D documents of `text_lengths` [D] characters, of which `requested` masks each."""
        examples = np.diff(masks.mask_offsets)
        return cls(
            documents=len(examples),
            requested=len(examples) * requested,
            examples=len(masks.span_offsets) - 1,
            without_span=int((np.diff(masks.span_offsets) == 0).sum()),
            fewest=int(examples.min(initial=requested)),
            most=int(examples.max(initial=0)),
            characters=int(examples.astype(np.int64) @ text_lengths.astype(np.int64)),
            masked_characters=int(masks.lengths.sum(dtype=np.int64)),
            spans=tuple(np.bincount(masks.types, minlength=len(mask_types)).tolist()),
        )

    def __add__(self, other: "MaskCounts") -> "MaskCounts":
        return MaskCounts(
            documents=self.documents + other.documents,
            requested=self.requested + other.requested,
            examples=self.examples + other.examples,
            without_span=self.without_span + other.without_span,
            fewest=min(self.fewest, other.fewest),
            most=max(self.most, other.most),
            characters=self.characters + other.characters,
            masked_characters=self.masked_characters + other.masked_characters,
            spans=tuple(a + b for a, b in zip(self.spans, other.spans, strict=True)),
        )


def mask_statistics(counts: MaskCounts, mask_types: Sequence[str]) -> dict[str, Any]:
    """Rates and shares (0 to 1) and means, as plain JSON values; what has no examples has rate 0."""
    spans = sum(counts.spans)
    return {
        "documents": counts.documents,
        "examples": counts.examples,
        "examples_left_out": counts.requested - counts.examples,
        "examples_per_document": {
            "min": min(counts.fewest, counts.most),
            "mean": _ratio(counts.examples, counts.documents),
            "max": counts.most,
        },
        "examples_without_span": _ratio(counts.without_span, counts.examples),
        "spans_per_example": _ratio(spans, counts.examples),
        "mask_rate_characters": _ratio(counts.masked_characters, counts.characters),
        "span_types": {mask_type: _ratio(n, spans) for mask_type, n in zip(mask_types, counts.spans, strict=True)},
    }


def statistics_table(statistics: Mapping[str, Mapping[str, Any]], note: str | None = None) -> TextTable:
    """A table with one column for each entry of `statistics` (split: its `mask_statistics`)."""
    columns, rows = list(statistics.values()), []
    for label, key, form in (
        ("documents", "documents", "{:,}"),
        ("examples", "examples", "{:,}"),
        ("left out", "examples_left_out", "{:,}"),
        ("examples a document", "examples_per_document", "{0[mean]:.2f}"),
        ("  fewest / most", "examples_per_document", "{0[min]} / {0[max]}"),
        ("without span", "examples_without_span", "{:.1%}"),
        ("spans an example", "spans_per_example", "{:.2f}"),
        ("masked characters", "mask_rate_characters", "{:.1%}"),
    ):
        rows.append([label, *(form.format(column[key]) for column in columns)])
    for mask_type in columns[0]["span_types"]:
        rows.append([f"spans: {mask_type}", *(f"{column['span_types'][mask_type]:.1%}" for column in columns)])
    return TextTable("Masks", ["", *statistics], rows, "l" + "r" * len(columns), note)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
