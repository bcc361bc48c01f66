"""Function and content words by a closed list (`data/function_words.txt`): no tagger is asked, context plays no part.

So `like`, `past` and `need` count as function words wherever they stand; for parts of speech there is the tagger.
"""

from functools import cache
from importlib.resources import files

from ilm.evaluation.cloze.metrics import folded

FUNCTION, CONTENT = "function word", "content word"


def word_class(word: str) -> str:
    return FUNCTION if folded(word) in _function_words() else CONTENT


@cache
def _function_words() -> frozenset[str]:
    text = files("ilm.evaluation.cloze").joinpath("data/function_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
