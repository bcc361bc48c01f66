"""A tokenizer extended by the special tokens of infilling.

They follow the base vocabulary of V = `len(tokenizer)` entries, in the order of chrisdonahue/ilm (Donahue et al. 2020;
ids for GPT-2, V = 50,257):

    <|startofinfill|>   V      50257    separates context and answers
    <|endofinfill|>     V+1    50258    closes every answer
    <|infill_T|>        V+2..  50259..  a blank of mask type T, one per mask type in the order of the mask function
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from transformers import PreTrainedTokenizerBase

from ilm.errors import UserError

START_OF_INFILL = "<|startofinfill|>"
END_OF_INFILL = "<|endofinfill|>"


def blank_token(mask_type: str) -> str:
    """The special token that replaces a span of this mask type."""
    return f"<|infill_{mask_type}|>"


class Vocabulary:
    """A fast tokenizer extended by the special tokens for `mask_types`.

    The tokenizer may be plain, or come from a trained model, which already has the tokens; they must then match these
    mask types, in this order.

    Attributes: `tokenizer`, `mask_types`, `base_size` (V), `start_of_infill`, `end_of_infill` (ids),
    `blanks` (int32, one id per mask type), `size` (V + 2 + types).

    Raises: UserError for a tokenizer without character offsets or with other special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, mask_types: Sequence[str]):
        if not tokenizer.is_fast:
            raise UserError(
                f"The tokenizer {tokenizer.name_or_path!r} gives no character offsets (it is not a 'fast' one), "
                "which are needed to align spans. Choose a model with a tokenizer.json."
            )
        self.tokenizer = tokenizer
        self.mask_types = tuple(mask_types)
        special = [START_OF_INFILL, END_OF_INFILL, *map(blank_token, mask_types)]
        present = tokenizer.backend_tokenizer.token_to_id(START_OF_INFILL)
        self.base_size = len(tokenizer) if present is None else present
        if present is None:
            tokenizer.add_special_tokens({"additional_special_tokens": special})
        ids = tokenizer.convert_tokens_to_ids(special)
        expected = list(range(self.base_size, self.base_size + len(special)))
        if ids != expected or len(tokenizer) != expected[-1] + 1:
            found = [token for token, i in sorted(tokenizer.get_vocab().items(), key=lambda p: p[1])]
            raise UserError(
                f"The tokenizer {tokenizer.name_or_path!r} has the infilling tokens {found[self.base_size :]}, but "
                f"these masks need {special}. Use the mask function this model was trained with."
            )
        self.start_of_infill, self.end_of_infill = ids[:2]
        self.blanks = np.array(ids[2:], dtype=np.int32)
        self.size = expected[-1] + 1

    @classmethod
    def of_trained(cls, tokenizer: PreTrainedTokenizerBase) -> "Vocabulary":
        """The vocabulary of a trained model, with mask types read from its special tokens.

        Raises: UserError if the tokenizer has no infilling tokens.
        """
        present = tokenizer.get_vocab()
        if START_OF_INFILL not in present:
            raise UserError(
                f"The model {tokenizer.name_or_path!r} has no infilling tokens ({START_OF_INFILL}, ...). "
                "Give the folder of a model trained here, such as experiments/NAME/model."
            )
        blanks = sorted((i, token) for token, i in present.items() if token.startswith("<|infill_"))
        return cls(tokenizer, [token.removeprefix("<|infill_").removesuffix("|>") for _, token in blanks])

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; literal control tokens stay text."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, including special tokens, without clean-up."""
        return self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False, spaces_between_special_tokens=False
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the base tokenizer's definition (its tokenizer.json without the infilling tokens).

        Equal for a base tokenizer and a model trained from it, so they share token stores.
        """
        return _fingerprint(self.tokenizer.backend_tokenizer.to_str(), self.base_size)


@lru_cache(maxsize=8)  # a third of a second with GPT-2's; models of one study share a tokenizer
def _fingerprint(definition: str, base_size: int) -> str:
    base = json.loads(definition)
    base["added_tokens"] = [token for token in base["added_tokens"] if token["id"] < base_size]
    base["truncation"] = base["padding"] = None
    return hashlib.sha256(json.dumps(base, sort_keys=True).encode()).hexdigest()
