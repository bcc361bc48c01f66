"""Part-of-speech tags, if the data of NLTK's tagger is installed."""

from collections.abc import Callable
from functools import cache, lru_cache

from ilm.errors import UserError
from ilm.masking.segmentation import words_across_lines
from ilm.masking.words import Word

TAGGER_DATA = "averaged_perceptron_tagger_eng"

Tagger = Callable[[list[str]], list[tuple[str, str]]]


def nltk_tagger() -> Tagger | None:
    """NLTK's averaged perceptron tagger for English; None if its data is not installed.

    NLTK looks in its default places and in the folders of the environment variable NLTK_DATA.

    Raises: UserError if the data is damaged.
    """
    from nltk.tag.perceptron import PerceptronTagger  # NLTK takes a second to import

    try:
        return PerceptronTagger().tag
    except LookupError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"NLTK's data {TAGGER_DATA} is damaged ({str(error).splitlines()[0]}). Type python -m nltk.downloader "
            f"--force {TAGGER_DATA}, or delete it."
        ) from error


@cache
def require_tagger() -> Tagger:
    """NLTK's tagger. Raises: UserError if its data is missing or damaged."""
    if (tagger := nltk_tagger()) is None:
        raise UserError(
            f"Finding proper nouns takes NLTK's tagger data {TAGGER_DATA}, which is not installed. Type python -m "
            f"nltk.downloader {TAGGER_DATA}; on a machine without network, copy it and set NLTK_DATA to its folder."
        )
    return tagger


@lru_cache(maxsize=8)
def proper_nouns(text: str) -> tuple[Word, ...]:
    """The words tagged NNP, in order; the text is tagged as one sequence.

    Raises: UserError as `require_tagger`.
    """
    words = words_across_lines(text)
    tags = require_tagger()([text[start : start + length] for start, length in words])
    return tuple(word for word, (_, tag) in zip(words, tags, strict=True) if tag == "NNP")
