"""Input that breaks pipelines: curly quotes, doubled apostrophes, emoji, names in other scripts, blank lines, tags.

Rates are shares of all texts; a text with nothing to change (no apostrophe, no line break) stays as it is.
"""

from random import Random

from ilm.corpus.synthetic.writers import Writer

_CURLY = 0.085  # not every text has a quote or an apostrophe: about 5 % of texts end up with curly ones
_TWO_APOSTROPHES = 0.02
_EMOJI = {"A1": 0.014, "A2": 0.012, "B1": 0.006, "B2": 0.002, "C1": 0.001}
_OWN_SCRIPT = 0.2
_TRIPLE_NEWLINE = 0.03
_CONTROL_TOKEN = 0.006

_EMOJIS = (
    "😊", "😀", "😂", "❤️", "👍", "😍", "🎉", "😉", "🙏",
    "☀️", "👨‍👩‍👧", "🇧🇷", "⚽", "🍕", "😢", "🐶", "✈️", "👋🏽",
)  # fmt: skip
_CONTROL_TOKENS = ["<|endoftext|>", "<|endoftext|>", "<|endofinfill|>", "<|startofinfill|>", "<|infill_word|>"]
_APOSTROPHES = ["I'm", "don't", "It's", "it's", "can't", "I've", "didn't", "isn't", "doesn't"]


def add_oddities(text: str, writer: Writer, level: str, rng: Random) -> str:
    """`text` with oddities, before errors are added."""
    random = rng.random
    if "\n" in text and random() < _TRIPLE_NEWLINE:
        text = text.replace("\n\n", "\n").replace("\n", "\n\n\n", 1 + int(random() * 2))
    script = writer.language.get("script")
    if script and random() < _OWN_SCRIPT:
        own = script.get(writer.city)
        if own and writer.city in text:
            text = text.replace(writer.city, f"{writer.city} ({own})", 1)
    if random() < _EMOJI[level]:
        text = _after_a_sentence(text, rng.choice(_EMOJIS) * rng.choice((1, 1, 1, 2, 3)), rng)
    if random() < _CONTROL_TOKEN:
        text = _after_a_sentence(text, rng.choice(_CONTROL_TOKENS), rng)
    return text


def typed(text: str, corrected: str, rng: Random) -> tuple[str, str]:
    """Text and correction with the apostrophes and quotation marks of the writer's keyboard.

    A doubled apostrophe is an error, so the correction does not have it.
    """
    if rng.random() < _CURLY:
        return with_curly_quotes(text), with_curly_quotes(corrected)
    if rng.random() < _TWO_APOSTROPHES:
        if '"' in text:
            return text.replace('"', "''"), corrected.replace('"', "''")
        return _with_two_apostrophes(text, rng), corrected
    return text, corrected


def _after_a_sentence(text: str, sign: str, rng: Random) -> str:
    ends = [place + 1 for place, character in enumerate(text) if character in ".!?"]
    place = rng.choice([*ends, len(text)])
    return f"{text[:place]} {sign}{text[place:]}" if rng.random() < 0.8 else f"{text[:place]}{sign}{text[place:]}"


def with_curly_quotes(text: str) -> str:
    parts = text.replace("'", "’").split('"')
    quotes = ("“", "”")
    return parts[0] + "".join(quotes[place % 2] + part for place, part in enumerate(parts[1:]))


def _with_two_apostrophes(text: str, rng: Random) -> str:
    for word in rng.sample(_APOSTROPHES, len(_APOSTROPHES)):
        if word in text:
            return text.replace(word, word.replace("'", "''"), 1)
    return text
