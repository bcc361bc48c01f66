"""From documents and masks to token ids with target types."""

# How a document and a mask become an example; `ilm.examples.layout` shows each on the same sentence.
OBJECTIVES = ("ilm", "no_context_ilm", "naive", "lm", "reverse_lm")

# Where batches are bounded in tokens, steps are planned in blocks of so many (`ilm.training.batch_plan`).
BLOCK_TOKENS = 1024


def block_tokens(max_length: int) -> int:
    """Tokens of a block that holds examples of up to `max_length`: BLOCK_TOKENS, or the next multiple of it."""
    return -(-max_length // BLOCK_TOKENS) * BLOCK_TOKENS
