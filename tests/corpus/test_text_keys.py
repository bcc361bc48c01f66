import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ilm.corpus.text_keys import BLOCK, Picked, blocks, folded, text_keys


def test_folded():
    assert folded(" Straße\u00a0 IST\r\n\tschön ") == "strasse ist schön"
    assert folded("it's") != folded("it’s"), "learners' spellings stay different texts"


@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from(" \n\tAb."))))
def test_folded_by_definition(text):
    assert folded(text) == " ".join(text.casefold().split())


def test_keys_are_equal_for_equal_folded_texts():
    texts = pd.Series(["Hello you", "hello\n\nYOU ", "hello", "", "日本"] * BLOCK, dtype="str")
    keys = text_keys(texts)
    assert keys.dtype == np.uint64
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 4
    assert (keys.reshape(BLOCK, 5) == keys[:5]).all()
    assert text_keys(texts[:0]).tolist() == []
    # The units of a corpus depend on these, so they may not change from one version to the next.
    assert keys[2] == int.from_bytes(bytes.fromhex("a7b6eda801e5347d"), "little")


def test_blocks():
    assert list(blocks(pd.Series(list("abcde"), dtype="str"), 2)) == [["a", "b"], ["c", "d"], ["e"]]


@given(st.lists(st.lists(st.text(max_size=3), max_size=4), min_size=1, max_size=5), st.randoms())
def test_picked_rows_of_a_column_in_chunks(chunks, random_):
    values = [value for chunk in chunks for value in chunk]
    column = pa.table({"text": pa.chunked_array(chunks, pa.large_string())}).to_pandas().astype("str")["text"]
    rows = [random_.randrange(len(values)) for _ in range(10 if values else 0)]
    assert Picked(column).at(np.array(rows, dtype=np.int64)) == [values[row] for row in rows]
