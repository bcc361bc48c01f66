import pytest

from ilm.config.model import Model
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import START_OF_INFILL, Vocabulary
from ilm.training.plan import base_tokenizer, total_steps
from tests.reference_data import MASK_TYPES
from tests.training.stored import OfLengths, shuffled_plan


@pytest.mark.parametrize(
    ("max_steps", "max_epochs", "steps"),
    [(50_000, 1, 1_000), (500, 1, 500), (0, 1, 0), (None, 2, 2_000), (500, None, 500), (0, None, 0)],
)
def test_the_smaller_bound_ends_a_run(max_steps, max_epochs, steps):
    bounds = {"max_steps": max_steps, "max_epochs": max_epochs}
    bounds = {key: value for key, value in bounds.items() if value is not None}
    assert total_steps(bounds, shuffled_plan(OfLengths([1] * 1_000), batch_size=1)) == steps


def test_a_trained_folder_is_taken_with_its_own_tokenizer(tmp_path):
    """Its infilling tokens have been learnt, and must not be drawn anew."""
    Vocabulary(gpt2_tokenizer(), MASK_TYPES).tokenizer.save_pretrained(tmp_path)
    fields = dict.fromkeys(Model.model_fields) | {"tokenizer": "gpt2", "pretrained": True, "name": "gpt2"}
    tokenizer, _ = base_tokenizer(Model(**fields | {"path": str(tmp_path)}), corpus=None)
    assert START_OF_INFILL in tokenizer.get_vocab()
    plain, name = base_tokenizer(Model(**fields | {"path": "openai-community/gpt2"}), corpus=None)
    assert START_OF_INFILL not in plain.get_vocab()
    assert name == "gpt2"
