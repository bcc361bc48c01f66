"""Mask functions as a user writes them; worker processes import them by their names, so this module is light."""

from ilm.masking.functions import Span


class Vowels:
    mask_types = ("lower", "upper")

    def __call__(self, text, rng):
        return [
            Span("lower" if letter.islower() else "upper", start, 1)
            for start, letter in enumerate(text)
            if letter in "aeiouAEIOU" and rng.random() < 0.5
        ]


class Overlapping:
    mask_types = ("word",)

    def __call__(self, text, rng):
        return [Span("word", 0, 2), Span("word", 1, 1)] if "José" in text else []
