"""Suggestions for mistyped keys."""

import pytest

from ilm.config.keys import suggestion

KNOWN = ("name", "seed", "data.batch_size", "corpus.name", "task.name", "task.renormalise", "task.format", "model.lr")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sede", "seed"),
        ("batch_size", "data.batch_size"),
        ("datta.batchsize", "data.batch_size"),
        ("task.renormalize", "task.renormalise"),
        ("task.nam", "task.name"),
        ("corpus.nme", "corpus.name"),
        ("model.seed", "seed"),
        ("task.resample", None),  # of a section that only its name has in common
        ("task.infil", None),
    ],
)
def test_only_a_key_that_is_really_close_is_suggested(typed, meant):
    assert suggestion(typed, KNOWN) == (f"; did you mean {meant}?" if meant else "")
