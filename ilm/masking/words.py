r"""Words as split by NLTK 3.10's word tokenizer, without running it on every sentence.

NLTK rewrites the whole sentence with some 30 regular expressions. Nearly all of them stay within the characters
between two spaces (a *chunk*), so a chunk splits the same way in any sentence:

1. The sentence is cut at its spaces.
2. NLTK splits each distinct chunk once, between two others; a sentence's last chunk at the end of a sentence, where a
   full stop is a separate word.
3. If any chunk may interact with its neighbours (see `_is_local`), NLTK splits the whole sentence.

Steps 2 and 3 rest on this claim for NLTK 3.10.4 (nltk/tokenize/destructive.py): of the expressions that apply to a
chunk without a straight double quote or two apostrophes, only these can see beyond it:

    ([:,])([^\d])         takes the space after the chunk, which no other match of it needs
    ([^'])'              before a space: takes a preceding space if the apostrophe is alone, hence a word anyway
    ([^\.])(\.)[...]*$   a full stop followed only by closing quotes, brackets and spaces: it is in the last chunk
                         if that has any other character
    \b (?<!\w) (?=\s)    treat a space like the end of the text

`tests/masking/test_words.py` compares this with NLTK on texts of every kind.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

Word = tuple[int, int]
"""(start, length) in characters of the document."""

# NLTK rewrites straight quotes: `"` and `''` become one of these two tokens.
_REWRITTEN_QUOTES = frozenset(("``", "''"))
# What may follow a sentence's final full stop.
_CLOSERS = frozenset("])}>\"'»”’.")
# The cache is cleared at this number of chunks; an entry takes some 250 bytes.
_MOST_CHUNKS = 100_000

# ASCII letters with at most one mark. NLTK splits such a chunk at the mark (a full stop only at the sentence end) and
# at contractions; only other chunks need NLTK.
_PLAIN = re.compile(r"([A-Za-z]+)([,;:?!.]?)")
_CONTRACTIONS = frozenset(("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"))


@cache
def _nltk() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer  # which takes a second to import

    return NLTKWordTokenizer()


def append_words(words: list[Word], sentence: str, offset: int) -> None:
    """Append the words of a sentence that begins at character `offset` of the document.

    The sentence is not empty and has no surrounding white space.
    """
    chunks = sentence.split(" ")
    before = len(words)
    position = offset
    last = len(chunks) - 1
    for chunk in islice(chunks, last):
        pieces = _inner[chunk]
        if pieces is None:
            break
        for start, length in pieces:
            words.append((position + start, length))
        position += len(chunk) + 1
    else:
        if (pieces := _final[chunks[last]]) is not None:
            for start, length in pieces:
                words.append((position + start, length))
            return
    del words[before:]
    words += [(offset + start, end - start) for start, end in align(_nltk().tokenize(sentence), sentence)]


def align(tokens: list[str], text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each NLTK word token in its text, in characters.

    The tokens are the text without white space, except that a token `` or '' may represent `"` or `''`. NLTK's
    `span_tokenize` cannot align every such text; the reference, which uses it, loses the document.
    """
    position = 0
    for token in tokens:
        while text[position].isspace():
            position += 1
        start = position
        if text.startswith(token, position):
            position += len(token)
        elif token in _REWRITTEN_QUOTES and text[position] == '"':
            position += 1
        elif token in _REWRITTEN_QUOTES and text.startswith("''", position):
            position += 2
        else:
            raise ValueError(f"NLTK's token {token!r} is not at character {position} of {text!r}")
        yield start, position


class _Chunks(dict[str, tuple[Word, ...] | None]):
    """Caches the words of each chunk, relative to its start; None for one that cannot be split alone."""

    def __init__(self, *, final: bool) -> None:
        super().__init__()
        self.final = final

    def __missing__(self, chunk: str) -> tuple[Word, ...] | None:
        if len(self) >= _MOST_CHUNKS:
            self.clear()
        self[chunk] = pieces = self._split(chunk) if _is_local(chunk, self.final) else None
        return pieces

    def _split(self, chunk: str) -> tuple[Word, ...]:
        plain = _PLAIN.fullmatch(chunk)
        if plain and plain[1].lower() not in _CONTRACTIONS:
            if not plain[2] or (plain[2] == "." and not self.final):
                return ((0, len(chunk)),)
            return ((0, len(chunk) - 1), (len(chunk) - 1, 1))
        sentence = f"x {chunk}" if self.final else f"x {chunk} x"
        bounds = list(align(_nltk().tokenize(sentence), sentence))
        return tuple((start - 2, end - start) for start, end in (bounds[1:] if self.final else bounds[1:-1]))


def _is_local(chunk: str, final: bool) -> bool:
    if '"' in chunk or "''" in chunk or any(map(str.isspace, chunk)):
        return False
    return not final or not _CLOSERS.issuperset(chunk)


_inner = _Chunks(final=False)
_final = _Chunks(final=True)
