"""From documents and masks to token ids with target types."""

# How a document and a mask become an example; `ilm.examples.layout` shows each on the same sentence.
OBJECTIVES = ("ilm", "no_context_ilm", "naive", "lm", "reverse_lm")
