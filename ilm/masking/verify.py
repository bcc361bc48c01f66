"""Checks stored masks against their checksums, their statistics and the documents."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import changed_files
from ilm.masking.masks import Masks
from ilm.masking.store import STATISTICS, MaskStore, read_settings


def verify_masks(folder: Path, documents: pd.DataFrame) -> list[str]:
    """The faults of a masks folder, one line each; none if it is sound.

    Compares the files with the SHA-256 written down beside them, the documents of each split with `documents` (columns
    text and split), the spans with the texts that they lie in, and the counts with `statistics.json`.
    """
    try:
        about = read_settings(folder)
        if changed := changed_files(folder, about["files"]):
            # What Arrow makes of damaged files can be anything.
            return changed
        store = MaskStore.open(folder)
        counted = {split: (n["documents"], n["examples"]) for split, n in read_json(folder / STATISTICS).items()}
    except UserError as error:
        return [str(error)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{folder / STATISTICS} is missing or damaged ({error!r})"]
    text_lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    in_split = documents["split"].to_numpy()
    drawn = about["settings"].get("splits", SPLITS)
    faults = []
    for split in SPLITS:
        masks = store.splits[split]
        # Masks of an epoch are those of the train split alone.
        rows = np.flatnonzero((in_split == split) & (split in drawn))
        faults += [f"{split}: {fault}" for fault in _faults(masks, rows, text_lengths, len(store.mask_types))]
        if (found := (len(masks.documents), len(masks.span_offsets) - 1)) != counted.get(split):
            faults.append(f"{split}: {found} documents and masks, {STATISTICS} says {counted.get(split)}")
    return faults


def _faults(masks: Masks, rows: np.ndarray, text_lengths: np.ndarray, mask_types: int) -> Iterator[str]:
    if not np.array_equal(masks.documents, rows):
        yield f"masks of {len(masks.documents)} documents, which are not the {len(rows)} of the split"
        return
    for name, offsets, total in (
        ("masks", masks.mask_offsets, len(masks.span_offsets) - 1),
        ("spans", masks.span_offsets, len(masks.types)),
    ):
        if offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets) < 0).any():
            yield f"the offsets of the {name} do not rise from 0 to {total}"
            return
    if len(masks.types) and masks.types.max() >= mask_types:
        yield f"a span has type number {masks.types.max()}, expected less than {mask_types}"
    starts, lengths = masks.starts.astype(np.int64), masks.lengths.astype(np.int64)
    ends = starts + lengths
    mask_of_span = np.repeat(np.arange(len(masks.span_offsets) - 1), np.diff(masks.span_offsets))
    text_of_mask = np.repeat(text_lengths[masks.documents], np.diff(masks.mask_offsets))
    outside = (ends > text_of_mask[mask_of_span]) | (lengths == 0)
    if outside.any():
        yield f"{int(outside.sum())} spans are empty or end outside of their text"
    overlapping = (starts[1:] < ends[:-1]) & (mask_of_span[1:] == mask_of_span[:-1])
    if overlapping.any():
        yield f"{int(overlapping.sum())} spans overlap the one before them, or are not sorted"
