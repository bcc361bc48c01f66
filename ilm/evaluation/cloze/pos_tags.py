"""Parts of speech of the words cut out, where NLTK's tagger has its data."""

from collections.abc import Callable, Sequence

from nltk.tag.perceptron import PerceptronTagger

from ilm.errors import UserError
from ilm.evaluation.cloze.items import Item
from ilm.masking.segmentation import segment

DATA = "averaged_perceptron_tagger_eng"

Tagger = Callable[[list[str]], list[tuple[str, str]]]

# Beginnings of the Penn Treebank's tags (Marcus et al. 1993), the longer ones first.
_COARSE = {
    "PRP": "pronoun",
    "NNP": "proper noun",
    "PDT": "determiner",
    "WDT": "determiner",
    "WRB": "adverb",
    "NN": "noun",
    "VB": "verb",
    "MD": "modal verb",
    "JJ": "adjective",
    "RB": "adverb",
    "RP": "particle",
    "WP": "pronoun",
    "EX": "pronoun",
    "DT": "determiner",
    "IN": "preposition or subordinator",
    "TO": "to",
    "CC": "coordinator",
    "CD": "number",
}


def nltk_tagger() -> Tagger | None:
    """NLTK's averaged perceptron tagger for English; None where its data is not installed.

    NLTK looks in its usual places and in the folders of the environment variable NLTK_DATA.

    Raises: UserError if the data is damaged.
    """
    try:
        return PerceptronTagger().tag
    except LookupError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"NLTK's data {DATA} is damaged ({str(error).splitlines()[0]}). Type python -m nltk.downloader --force "
            f"{DATA}, or delete it."
        ) from error


def parts_of_speech(items: Sequence[Item], tagger: Tagger) -> dict[tuple[str, int], str]:
    """(item key, number of the blank) -> part of speech, of the learner's word in its sentence."""
    found: dict[tuple[str, int], str] = {}
    tags_of: dict[str, dict[tuple[int, int], str]] = {}
    for item in items:
        if item.text not in tags_of:
            tags_of[item.text] = _tags(item.text, tagger)
        for number, span in enumerate(item.spans):
            found[item.key, number] = coarse(tags_of[item.text][span])
    return found


def coarse(tag: str) -> str:
    """The part of speech of a tag of the Penn Treebank; "other" for marks and whatever else."""
    return next((name for beginning, name in _COARSE.items() if tag.startswith(beginning)), "other")


def _tags(text: str, tagger: Tagger) -> dict[tuple[int, int], str]:
    tags = {}
    for paragraph in segment(text).paragraphs:
        for sentence in paragraph.sentences:
            words = [text[start : start + length] for start, length in sentence.words]
            tags |= dict(zip(sentence.words, (tag for _, tag in tagger(words)), strict=True))
    return tags
