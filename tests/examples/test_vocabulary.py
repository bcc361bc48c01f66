import pytest
from transformers import AutoTokenizer

from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import MASK_TYPES


def test_special_ids_follow_the_base_vocabulary():
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    assert (vocabulary.base_size, vocabulary.start_of_infill, vocabulary.end_of_infill) == (50257, 50257, 50258)
    assert vocabulary.blanks.tolist() == [50259, 50260, 50261, 50262, 50263]
    assert vocabulary.size == len(vocabulary.tokenizer) == 50264
    assert vocabulary.tokenizer.convert_ids_to_tokens(50262) == "<|infill_ngram|>"


def test_mask_types_of_another_function():
    vocabulary = Vocabulary(gpt2_tokenizer(), ("sentence_terminal", "other"))
    assert vocabulary.blanks.tolist() == [50259, 50260]
    assert vocabulary.size == 50261


def test_the_vocabulary_of_a_trained_model_is_read_off_its_tokenizer(tmp_path):
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    vocabulary.tokenizer.save_pretrained(tmp_path)
    again = Vocabulary.of_trained(AutoTokenizer.from_pretrained(tmp_path))
    assert again.mask_types == MASK_TYPES
    assert again.size == vocabulary.size
    assert again.encode("I’m <|endofinfill|> 😀") == vocabulary.encode("I’m <|endofinfill|> 😀")
    assert again.fingerprint == vocabulary.fingerprint == Vocabulary(gpt2_tokenizer(), ("word",)).fingerprint


def test_a_tokenizer_without_infilling_tokens_is_no_trained_one():
    with pytest.raises(UserError, match="no infilling tokens"):
        Vocabulary.of_trained(gpt2_tokenizer())


def test_a_trained_tokenizer_of_other_mask_types_is_refused():
    tokenizer = Vocabulary(gpt2_tokenizer(), ("word",)).tokenizer
    with pytest.raises(UserError, match=r"infill_word.*these masks need"):
        Vocabulary(tokenizer, MASK_TYPES)
