"""Checks stored tokens against their checksums, the vocabulary and the texts."""

from pathlib import Path

import numpy as np
import pandas as pd

from ilm.files import read_json
from ilm.hashing import changed_files, digest


def verify_tokens(folder: Path, documents: pd.DataFrame) -> list[str]:
    """The faults of a token store, one line each; none if it is sound.

    Compares the files with the SHA-256 written down beside them, the ids with the vocabulary, and the positions of the
    tokens with the lengths of the texts of all `documents`, in order.
    """
    try:
        about = read_json(folder / "settings.json")
        faults, base_vocabulary = changed_files(folder, about["files"]), about["base_vocabulary"]
        if folder.name.rpartition("-")[2] != digest(about["identity"]):
            return [f"settings.json is that of {digest(about['identity'])}, not of this folder"]
        ids, advances, offsets = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("ids", "advances", "offsets")
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"a file is missing or damaged ({error!r})"]
    if len(offsets) != len(documents) + 1:
        return [*faults, f"tokens of {len(offsets) - 1} documents, expected {len(documents)}"]
    if offsets[0] != 0 or (np.diff(offsets) < 0).any() or not offsets[-1] == len(ids) == len(advances):
        return [*faults, f"the offsets do not rise from 0 to the number of tokens, {len(ids)}"]
    if len(ids) and ids.max() >= base_vocabulary:
        faults.append(f"id {ids.max()} is none of the {base_vocabulary} of the tokenizer")
    lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    reached = np.concatenate([[0], np.cumsum(advances, dtype=np.int64)])[offsets]
    if wrong := int((np.diff(reached) != lengths).sum()):
        faults.append(f"the tokens of {wrong} documents do not reach from the beginning to the end of the text")
    return faults
