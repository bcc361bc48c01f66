"""The token store: all documents' token ids, computed once per corpus and tokenizer, memory-mapped.

1. Every document is tokenized as plain text (special tokens stay text; `ilm.examples.tokenize`).
2. Each token gets a *position*: the character at which it begins. A token that begins inside a character (GPT-2 has
   tokens of one whole character and part of the next) takes the position of the last character boundary before it;
   tokens with equal positions belong together and are never separated.
3. Ids and the advances from each position to the next are written as flat arrays, with document offsets:

    tokens/<tokenizer>-<hash>/ids.npy         uint16 or uint32 (N,)
                              advances.npy    uint8, 16 or 32 (N,): characters from a token's position to the next
                              offsets.npy     int64 (D + 1,): document d has the tokens offsets[d]:offsets[d + 1]
                              settings.json   identity (documents hash, tokenizer), counts, sha256 of the files
4. A character span then becomes the smallest run of tokens that covers it and ends at character boundaries.

Legend: D documents, N tokens in all.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ilm.corpus.selection import Documents
from ilm.examples.tokenize import tokenize
from ilm.examples.vocabulary import Vocabulary
from ilm.files import GrowingArray, atomic_folder, cache_folder, write_json
from ilm.hashing import digest, file_record
from ilm.masking.masks import offsets, ranges

ARRAYS = ("ids.npy", "advances.npy", "offsets.npy")


class TokenStore:
    """Token ids and positions of all documents of a corpus, memory-mapped.

    Attributes: `folder`; `offsets` (int64, D + 1): document d has the tokens offsets[d]:offsets[d + 1] of `all_ids`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # Plain arrays, since slicing a `memmap` costs microseconds more.
        self.offsets, self.all_ids, self._advances = (
            np.load(folder / name, mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in ("offsets.npy", "ids.npy", "advances.npy")
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that is not forked maps the files again, rather than receive a copy of them.
        return TokenStore, (self.folder,)

    def ids(self, document: int) -> np.ndarray:
        """Token ids of one document, (tokens,)."""
        return self.all_ids[self.offsets[document] : self.offsets[document + 1]]

    def positions(self, documents: int | np.ndarray) -> np.ndarray:
        """Positions (tokens + 1,) in characters of one document, or of several concatenated ones."""
        documents = np.atleast_1d(documents)
        return offsets(self._advances[ranges(self.offsets[documents], self.offsets[documents + 1])])

    @classmethod
    def open_or_make(
        cls, root: Path, corpus: Documents, vocabulary: Vocabulary, name: str, instead: Path | None = None
    ) -> "TokenStore":
        """Open the store of this corpus and tokenizer below `root`, tokenizing the corpus first if necessary.

        `corpus`: an `ilm.corpus.store.PreparedCorpus`. `name`: a readable name of the tokenizer. `instead`: where to
        create the store if `root` is read-only. The folder name has a hash of the documents hash and the tokenizer's
        definition, so a stale store is never read.
        """
        identity = {"documents": corpus.documents_hash, "tokenizer": vocabulary.fingerprint}
        folder = cache_folder(Path(root), f"{name}-{digest(identity)}", instead)
        if not (folder / "settings.json").is_file():
            _write(folder, corpus.documents["text"], vocabulary, identity)
        return cls(folder)


def verify_tokens(folder: Path, documents: pd.DataFrame) -> list[str]:
    """Compare token positions with the lengths of all `documents`' texts; one line for each fault."""
    store = TokenStore(folder)
    if len(store.offsets) != len(documents) + 1:
        return [f"tokens of {len(store.offsets) - 1} documents, expected {len(documents)}"]
    lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    reached = store.positions(np.arange(len(documents)))[store.offsets]
    if wrong := int((np.diff(reached) != lengths).sum()):
        return [f"the tokens of {wrong} documents do not cover their text"]
    return []


def _write(folder: Path, texts: pd.Series, vocabulary: Vocabulary, identity: dict) -> None:
    id_type = np.uint16 if vocabulary.base_size <= 2**16 else np.uint32
    changed, widest = 0, 0
    with atomic_folder(folder, keep_existing=True) as temporary:
        ids, advances, counts = (GrowingArray(temporary / name) for name in ("ids", "advances", "counts"))
        with tqdm(total=len(texts), desc="Tokenizing", unit=" documents", disable=None) as progress:
            for chunk in tokenize(texts, vocabulary.tokenizer):
                ids.append(chunk.ids.astype(id_type))
                advances.append(chunk.advances.astype(np.uint32))
                counts.append(chunk.counts.astype(np.int64))
                changed += chunk.changed
                widest = max(widest, int(chunk.advances.max(initial=0)))
                progress.update(len(chunk.counts))
        width = np.uint8 if widest < 2**8 else np.uint16 if widest < 2**16 else np.uint32
        ids.save(temporary / "ids.npy", id_type)
        advances.save(temporary / "advances.npy", np.uint32, stored_as=width)
        starts = offsets(counts.mapped(np.int64))
        counts.remove()
        np.save(temporary / "offsets.npy", starts)
        files = {name: file_record(temporary / name) for name in ARRAYS}
        settings = {
            "identity": identity,
            "documents": len(starts) - 1,
            "tokens": int(starts[-1]),
            "base_vocabulary": vocabulary.base_size,
            # Always 0 for byte-level BPE; other tokenizers may normalise characters.
            "texts_changed_by_tokenizer": changed,
            "files": files,
        }
        write_json(temporary / "settings.json", settings)
    if changed:
        tqdm.write(f"warning: {changed} of {len(starts) - 1} texts change when encoded and decoded by this tokenizer")
