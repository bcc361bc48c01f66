import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.reference.texts import EDGES, EMPTY, RETURNS, SEPARATED, SEPARATOR, read_texts, unwritable

# Rich in what matters: line ends, white space of all kinds, and what is none though it looks so.
characters = st.sampled_from("ab.é😀 \n\n\n\n\r\t\u00a0\u2028\x1c\x85\u200b\ufeff")
documents = st.text(characters, max_size=12)


def expected(path) -> list[str]:
    """What the reference makes of a file: text mode, strip, split, strip."""
    with open(path, encoding="utf-8") as file:
        content = file.read().strip()
    return [part.strip() for part in re.split("\n\n\n", content)] if content else []


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("texts") / "train.txt"


@given(content=st.text(characters, max_size=60))
def test_a_file_is_read_as_the_reference_reads_it(path, content):
    path.write_bytes(content.encode())
    assert read_texts(path, "utf-8") == expected(path)


@given(wanted=st.lists(documents, max_size=5))
def test_what_is_writable_comes_back_and_what_is_not_does_not(path, wanted):
    writable = [text for text in wanted if unwritable(text) is None]
    write(path, writable)
    assert expected(path) == writable
    assert read_texts(path, "utf-8") == writable
    for text in wanted:
        if unwritable(text):
            write(path, ["before", text, "after"])
            assert expected(path) != ["before", text, "after"] or unwritable(text) == EMPTY


def write(path, wanted):
    path.write_bytes(SEPARATOR.join(wanted).encode())


def test_why_a_text_cannot_be_written():
    faults = {"": EMPTY, " \n\t": EMPTY, " a": EDGES, "a\n": EDGES, "a\u00a0": EDGES, "a\n\n\nb": SEPARATED}
    faults |= {"a\r\nb": RETURNS, "a\rb": RETURNS, "a\n\nb": None, "a\u200b": None}
    assert {text: unwritable(text) for text in faults} == faults


def test_empty_documents_keep_their_places(path):
    path.write_text("\n first\n\n\n second \n\n\n\n\n\nlast\n\n", encoding="utf-8")
    assert read_texts(path, "utf-8") == ["first", "second", "", "last"]


def test_another_encoding(path):
    path.write_bytes("naïve café\n\n\nb".encode("cp1252"))
    with pytest.raises(UserError, match=r"is not utf-8: byte 2"):
        read_texts(path, "utf-8")
    assert read_texts(path, "cp1252") == ["naïve café", "b"]
    path.write_bytes(b"\xef\xbb\xbfmarked")
    assert read_texts(path, "utf-8") == ["\ufeffmarked"]
    assert read_texts(path, "utf-8-sig") == ["marked"]
