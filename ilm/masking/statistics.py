"""Mask statistics: rates, counts and types of masked spans, for comparison with the settings and the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ilm.masking.masks import Masks
from ilm.tables import TextTable

_NOTABLY_FEWER = 0.05  # share of the masks asked for


def mask_statistics(
    parts: Sequence[Masks], text_lengths: np.ndarray, mask_types: Sequence[str], requested: int
) -> dict[str, Any]:
    """Rates, shares (0 to 1) and means over all `parts`, as plain JSON values; rates are 0 without examples.

    `text_lengths`: characters of all documents. `requested`: masks asked for per document.
    """
    of_document = [np.diff(masks.mask_offsets).astype(np.int64) for masks in parts]
    each = np.concatenate(of_document)
    documents, examples = len(each), int(each.sum())
    pairs = zip(of_document, parts, strict=True)
    characters = sum(int(counts @ text_lengths[masks.documents]) for counts, masks in pairs)
    masked = sum(int(masks.lengths.sum(dtype=np.int64)) for masks in parts)
    empty = sum(int((np.diff(masks.span_offsets) == 0).sum()) for masks in parts)
    types = np.sum([np.bincount(masks.types, minlength=len(mask_types)) for masks in parts], axis=0).tolist()
    return {
        "documents": documents,
        "examples": examples,
        "examples_left_out": documents * requested - examples,
        "examples_per_document": {
            "min": int(each.min()) if documents else 0,
            "mean": _ratio(examples, documents),
            "max": int(each.max(initial=0)),
        },
        "examples_without_span": _ratio(empty, examples),
        "spans_per_example": _ratio(sum(types), examples),
        "mask_rate_characters": _ratio(masked, characters),
        "span_types": {name: _ratio(n, sum(types)) for name, n in zip(mask_types, types, strict=True)},
    }


def statistics_table(statistics: Mapping[str, Mapping[str, Any]], note: str | None = None) -> TextTable:
    """A table with one column for each entry of `statistics` (split -> `mask_statistics`).

    The caption says if documents have fewer distinct masks than asked for, followed by `note`.
    """
    columns, rows = list(statistics.values()), []
    for label, key, form in (
        ("documents", "documents", "{:,}"),
        ("examples", "examples", "{:,}"),
        ("left out", "examples_left_out", "{:,}"),
        ("examples per document", "examples_per_document", "{0[mean]:.2f}"),
        ("  fewest / most", "examples_per_document", "{0[min]} / {0[max]}"),
        ("without span", "examples_without_span", "{:.1%}"),
        ("spans per example", "spans_per_example", "{:.2f}"),
        ("masked characters", "mask_rate_characters", "{:.1%}"),
    ):
        rows.append([label, *(form.format(column[key]) for column in columns)])
    for mask_type in columns[0]["span_types"]:
        rows.append([f"spans: {mask_type}", *(f"{column['span_types'][mask_type]:.1%}" for column in columns)])
    overall, caption = statistics["all"], note
    examples, left_out = overall["examples"], overall["examples_left_out"]
    if left_out > _NOTABLY_FEWER * (examples + left_out):
        asked = (examples + left_out) // overall["documents"]
        found = f"{overall['examples_per_document']['mean']:.2f} distinct masks per document, of {asked} asked for"
        caption = f"{found}; all other draws were repeats." + (f" {note}" if note else "")
    return TextTable("Masks", ["", *statistics], rows, "l" + "r" * len(columns), caption)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
