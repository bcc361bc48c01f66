from types import SimpleNamespace

import pandas as pd

from ilm.examples.tokenizers import corpus_tokenizer, gpt2_tokenizer


def test_gpt2s_tokenizer_splits_as_gpt2():
    tokenizer = gpt2_tokenizer()
    assert len(tokenizer) == 50257
    assert tokenizer("She ate leftover pasta.").input_ids == [3347, 15063, 39191, 26296, 13]


def test_a_corpus_tokenizer_learns_from_the_training_texts_alone_and_is_made_once(tmp_path, capfd):
    documents = pd.DataFrame({"text": ["banana banana"] * 20 + ["zebra zebra"] * 20})
    documents["split"] = ["train"] * 20 + ["test"] * 20
    corpus = SimpleNamespace(documents=documents, documents_hash="0123456789ab")
    tokenizer = corpus_tokenizer(tmp_path, corpus, 270)
    assert capfd.readouterr().out == "", "no bars of the tokenizers library where nobody sees them"
    assert tokenizer.tokenize("banana banana zebra") == ["banana", "Ġbanana", "Ġ", "z", "e", "b", "r", "a"]
    assert tokenizer.decode(tokenizer("zebra, banana").input_ids) == "zebra, banana"
    (folder,) = tmp_path.iterdir()
    before = (folder / "tokenizer.json").stat().st_mtime_ns
    assert corpus_tokenizer(tmp_path, corpus, 270).get_vocab() == tokenizer.get_vocab()
    assert (folder / "tokenizer.json").stat().st_mtime_ns == before
