"""The token store: every document's token ids, made once per corpus and tokenizer, mapped from disk.

1. Every document is tokenised as plain text (special tokens stay text), with character offsets.
2. Offsets become *positions*: the character at which each token begins, where that is a boundary between
   characters. A token that begins inside a character (GPT-2 has tokens made of one whole character and a
   part of the next) takes the position of the last boundary before it, so that tokens with equal positions
   belong together and are never separated.
3. Ids and the advances from each position to the next are written as flat arrays, with the documents' offsets.
4. A character span then becomes the smallest run of tokens that covers it and ends at character boundaries.

Legend: D documents, N tokens in all.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.files import atomic_folder, read_json, write_json
from ilm.hashing import digest

DOCUMENTS_PER_CHUNK = 2_000


def token_positions(offsets: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """Positions (tokens + 1,) in characters of a text with `length` characters, from a tokenizer's offsets.

    The last one is `length`. White space that a tokenizer leaves out of its offsets goes to the token after it.
    """
    positions = np.empty(len(offsets) + 1, dtype=np.int64)
    boundary = previous_end = 0
    for i, (start, end) in enumerate(offsets):
        if i and previous_end <= start:
            boundary = previous_end
        positions[i] = boundary
        previous_end = max(previous_end, end)
    positions[len(offsets)] = length
    return positions


def align(positions: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Character spans as runs of tokens: (first, last), `last` exclusive, both of the shape of `starts`.

    `positions` is non-decreasing, of one document or of many laid end to end. Each run is the smallest that
    covers its span and whose two ends are character boundaries; two spans that share a token overlap.
    """
    containing = np.searchsorted(positions, starts, side="right") - 1
    first = np.searchsorted(positions, positions[containing], side="left")
    last = np.searchsorted(positions, starts + lengths, side="left")
    return first, last


class TokenStore:
    """Token ids and positions of all documents of a corpus, memory-mapped.

    Attributes: `folder`, `offsets` (int64, D + 1): document d has the tokens offsets[d]:offsets[d + 1].
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
        self._ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
        self._advances = np.load(folder / "advances.npy", mmap_mode="r", allow_pickle=False)

    def ids(self, document: int) -> np.ndarray:
        """Token ids of one document, (tokens,)."""
        return self._ids[self.offsets[document] : self.offsets[document + 1]]

    def positions(self, first_document: int, last_document: int | None = None) -> np.ndarray:
        """Positions (tokens + 1,) in characters of one document, or of documents first..last-1 end to end."""
        last_document = first_document + 1 if last_document is None else last_document
        advances = self._advances[self.offsets[first_document] : self.offsets[last_document]]
        positions = np.zeros(len(advances) + 1, dtype=np.int64)
        np.cumsum(advances, out=positions[1:])
        return positions

    @classmethod
    def open_or_make(cls, root: Path, corpus, vocabulary: Vocabulary, name: str) -> "TokenStore":
        """The store of this corpus and tokenizer below `root`; tokenised now if it is not there yet.

        `corpus` is an `ilm.corpus.store.PreparedCorpus`, `name` a readable name of the tokenizer. The folder is
        named by a hash of the documents hash and the tokenizer's definition, so a stale store is never read.
        """
        identity = {"documents": corpus.documents_hash, "tokenizer": vocabulary.fingerprint()}
        folder = Path(root) / f"{name}-{digest(identity)}"
        if not (folder / "settings.json").is_file():
            _tokenise(folder, corpus.documents["text"], vocabulary.tokenizer, vocabulary.base_size, identity)
        elif read_json(folder / "settings.json")["identity"] != identity:
            raise UserError(f"{folder} holds tokens of something else than its name says. Delete it and run again.")
        return cls(folder)


def _tokenise(folder: Path, texts, tokenizer: PreTrainedTokenizerBase, base_size: int, identity: dict) -> None:
    id_type = np.uint16 if base_size <= 2**16 else np.uint32
    chunks, advances, counts, changed = [], [], [], 0
    with tqdm(total=len(texts), desc="tokenising", unit=" documents", unit_scale=True) as progress:
        for begin in range(0, len(texts), DOCUMENTS_PER_CHUNK):
            batch = texts.iloc[begin : begin + DOCUMENTS_PER_CHUNK].tolist()
            encoded = tokenizer(batch, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
            for text, ids, offsets in zip(batch, encoded.input_ids, encoded.offset_mapping, strict=True):
                chunks.append(np.array(ids, dtype=id_type))
                advances.append(np.diff(token_positions(offsets, len(text))))
                counts.append(len(ids))
            decoded = tokenizer.batch_decode(encoded.input_ids, clean_up_tokenization_spaces=False)
            changed += sum(text != back for text, back in zip(batch, decoded, strict=True))
            progress.update(len(batch))
    flat = np.concatenate(advances) if advances else np.zeros(0, dtype=np.int64)
    width = np.uint8 if flat.max(initial=0) < 2**8 else np.uint16 if flat.max() < 2**16 else np.uint32
    with atomic_folder(folder, keep_existing=True) as temporary:
        np.save(temporary / "ids.npy", np.concatenate(chunks) if chunks else np.zeros(0, dtype=id_type))
        np.save(temporary / "advances.npy", flat.astype(width))
        np.save(temporary / "offsets.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
        settings = {"identity": identity, "documents": len(counts), "tokens": int(sum(counts))}
        # Texts that come back changed from the tokenizer: 0 for byte-level BPE; others may normalise characters.
        write_json(temporary / "settings.json", settings | {"texts_changed_by_tokenizer": changed})
    if changed:
        tqdm.write(f"warning: {changed} of {len(counts)} texts do not survive encoding and decoding by this tokenizer")
