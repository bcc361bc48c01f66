"""CSV files as they come: whole, broken, and broken in ways that a reader may not notice."""

import csv
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.corpus.columns import Reading
from ilm.corpus.reader import read_corpora, read_corpus
from ilm.errors import UserError
from tests.conftest import REPOSITORY

LEVELS = ["A1", "A2", "B1", "B2", "C1"]
HEADER = "writing_id,l1,cefr_level,text\n"
CORPORA = REPOSITORY.parent / "shared" / "corpora"


@pytest.fixture
def read(tmp_path):
    """read(content, ...): writes the content (str: as UTF-8) and reads it."""

    def write_and_read(content: str | bytes, columns=None, levels=LEVELS, **options):
        path = tmp_path / "corpus.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_corpus(path, Reading(levels, columns or {}, **options))

    return write_and_read


@pytest.fixture
def refused(read):
    """refused(content, ...): the message of the UserError."""

    def message(content: str | bytes, *args, **options) -> str:
        with pytest.raises(UserError) as caught:
            read(content, *args, **options)
        return str(caught.value)

    return message


def good_rows(count: int, first: int = 0) -> str:
    return "".join(f"ok{first + n:04},French,A1,Text number {first + n}.\n" for n in range(count))


# What is read


def test_documents_sorted_and_texts_untouched(read):
    content = (
        HEADER
        + 'w2, French ,A1,"  He say ""hello"",\r\nthen\tgo \n\n\nhome.\r "\n'
        + "w10,Русский,C1,I’m happy 😀 <|endoftext|>\n"
    )
    documents, report = read(content)
    assert documents.to_dict("records") == [
        {"writing_id": "w10", "l1": "Русский", "cefr_level": "C1", "text": "I’m happy 😀 <|endoftext|>"},
        {
            "writing_id": "w2",
            "l1": "French",
            "cefr_level": "A1",
            "text": '  He say "hello",\r\nthen\tgo \n\n\nhome.\r ',
        },
    ]
    assert list(documents.index) == [0, 1]
    assert all(dtype == "str" for dtype in documents.dtypes)
    assert (report.rows, report.kept, report.dropped, report.notes) == (2, 2, {}, {})
    assert report.bytes == len(content.encode())
    assert report.columns_used == {name: name for name in ("writing_id", "l1", "cefr_level", "text")}


def test_values_that_pandas_would_turn_into_numbers_or_nan(read):
    documents, _ = read(HEADER + "007,None,A1,NA\n1e5,NaN,A1,12.50\n")
    assert documents.to_numpy().tolist() == [["007", "None", "A1", "NA"], ["1e5", "NaN", "A1", "12.50"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"])
def test_line_ends_and_encodings(read, end, encoding):
    content = f'{HEADER}a,Türkçe,A1,"été\nfin"\nb,German,B2,it´s\n'.replace("\n", end).encode(encoding, "replace")
    documents, report = read(content, encoding="utf-8" if encoding == "utf-8-sig" else encoding)
    assert documents["text"].tolist() == [f"été{end}fin", "it´s"]
    assert report.notes == {}


def test_no_line_end_after_the_last_row(read):
    documents, report = read(HEADER + "\na,French,A1,text")
    assert documents["text"].tolist() == ["text"]
    assert report.notes["no line end after the last row, is it whole?"] == {"count": 1, "rows": [3]}


def test_swapped_columns_and_aliases(read):
    content = "Text Corrected,TEXT,grade,CEFR-Label,level,L1,ID,Learner ID,Topic\nx,y,9,A2,4,French,w1,s7,Pets\n"
    documents, report = read(content)
    assert documents.to_dict("records") == [
        {"writing_id": "w1", "l1": "French", "cefr_level": "A2", "text": "y", "learner_id": "s7", "topic": "Pets"}
    ]
    assert report.columns_used["cefr_level"] == "CEFR-Label"


def test_columns_asked_for(read):
    content = "id,l1,cefr,text,text_corrected,Text_Corrected\nw1,French,A1,one,two,three\n"
    assert read(content, {"text": "text_corrected"})[0]["text"].tolist() == ["two"]
    assert read(content, {"text": "Text_Corrected"})[0]["text"].tolist() == ["three"]
    assert read(content)[0]["text"].tolist() == ["one"]


def test_a_column_to_keep_that_is_not_there(refused):
    message = refused("id,l1,cefr,text,Text_Corrected\nw1,French,A1,x,y\n", keep_columns=["text_corected", "age"])
    assert "corpus.keep_columns=text_corected, but there is no such column" in message
    assert "corpus.keep_columns=age, but there is no such column. The header has: id, l1, cefr, text, Text" in message


def test_a_row_repeated_but_for_a_kept_column(read, refused):
    content = "id,l1,cefr,text,age\nw1,French,A1,x,20\nw1,French,A1,x,21\n"
    assert read(content, max_dropped=1)[1].kept == 1
    assert "have the same id 'w1' but different contents (age)" in refused(content, keep_columns=["age"])


def test_a_text_of_10_megabytes(read):
    text = "word, " * 1_750_000
    assert read(f'{HEADER}w1,French,A1,"{text}"\n')[0]["text"].tolist() == [text]
    assert csv.field_size_limit() == 131_072, "the process's limit is put back"


def test_order_of_the_file_does_not_matter(read):
    rows = good_rows(40).splitlines(keepends=True)
    expected, _ = read(HEADER + "".join(rows))
    random.Random(0).shuffle(rows)
    assert read(HEADER + "".join(rows))[0].equals(expected)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(texts.filter(lambda t: t == t.strip()), texts.filter(str.strip), min_size=1, max_size=8))
def test_whatever_csv_can_hold_comes_back(tmp_path_factory, documents):
    path = tmp_path_factory.mktemp("csv") / "corpus.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["writing_id", "l1", "cefr_level", "text"])
        writer.writerows([key, "French", "A1", text] for key, text in documents.items())
    found, report = read_corpus(path, Reading(LEVELS))
    assert dict(zip(found["writing_id"], found["text"], strict=True)) == documents
    assert report.rows == report.kept == len(documents)


@pytest.mark.skipif(not CORPORA.exists(), reason="the learner corpora are not at hand")
@pytest.mark.parametrize(("name", "count"), [("cefr_asag", 696), ("seeflex", 1736)])
def test_real_corpora_lose_no_row(name, count):
    documents, report = read_corpus(CORPORA / f"{name}.csv", Reading(LEVELS))
    assert (len(documents), report.rows, report.dropped, report.notes) == (count, count, {}, {})


# Row faults: dropped and counted


def test_every_row_fault_is_counted_by_cause(read):
    content = (
        HEADER
        + "r2,French,A1,first\n"
        + "r3,French,A1, \t\u00a0\n"  # empty text
        + ",French,A1,no id\n"
        + "r5,French,,no level\n"
        + "r6,French,D9,a level of another scale\n"
        + "r7,French,A1,one, field too many\n"
        + "r8,French,A1\n"
        + "r2,French,A1,first\n"  # repeated
        + '"r10",,A2,"no l1,\nbut kept"\n'
        + "\n"  # blank
        + "r12, French,A1,last\n"
    )
    documents, report = read(content, max_dropped=0.7)
    assert documents["writing_id"].tolist() == ["r10", "r12", "r2"]
    assert documents["l1"].tolist() == ["unknown", "French", "French"]
    assert report.dropped == {
        "empty text": {"count": 1, "rows": [3]},
        "empty id": {"count": 1, "rows": [4]},
        "level missing": {"count": 1, "rows": [5]},
        "level not in corpus.levels": {"count": 1, "rows": [6]},
        "wrong number of fields": {"count": 2, "rows": [7, 8]},
        "identical row repeated": {"count": 1, "rows": [9]},
    }
    assert report.notes == {
        'l1 missing, kept as "unknown"': {"count": 1, "rows": [10]},
        "blank line, no row": {"count": 1, "rows": [11]},
    }
    assert (report.rows, report.kept) == (10, 3)


def test_only_the_first_five_rows_are_listed(read):
    empty = "".join(f"e{n},French,A1,\n" for n in range(7))
    _, report = read(HEADER + empty + good_rows(700))
    assert report.dropped == {"empty text": {"count": 7, "rows": [2, 3, 4, 5, 6]}}


def test_max_dropped_is_a_share_that_may_be_reached_but_not_exceeded(read, refused):
    content = HEADER + "e,French,A1,\n" + good_rows(99)
    assert read(content)[1].kept == 99
    message = refused(HEADER + "e,French,A1,\n" + good_rows(98))
    assert "1 of 99 rows cannot be used" in message
    assert "empty text: 1 (rows 2)" in message
    assert "corpus.max_dropped=0.011" in message


def test_unknown_levels_are_shown(refused):
    message = refused(HEADER + "a,French,C2,x\nb,French,C2,y\nc,French,12,z\n" + good_rows(1))
    assert "level not in corpus.levels: 3 (rows 2, 3, 4)" in message
    assert "levels found: 'C2' (2), '12' (1); expected A1, A2, B1, B2, C1" in message
    assert "corpus.levels=[...]" in message


def test_levels_in_lower_case(read):
    documents, report = read(HEADER + "a,x,b2,t\nb,x,a1.I,t\nc,x,c1+,t\n")
    assert documents["cefr_level"].tolist() == ["B2", "A1", "C1"]
    assert report.notes["sub-level, kept as its main level"]["rows"] == [3, 4]


def test_choosing_fewer_levels_is_no_fault(read, refused):
    rows = [f"w{n:02},x,{level},t {n}\n" for n, level in enumerate(["A1"] * 5 + ["B1"] * 20 + ["C2", "b2.1"])]
    documents, report = read(HEADER + "".join(rows), levels=["A1"], max_dropped=0)
    assert len(documents) == 5
    chosen_away = report.dropped["level not chosen by corpus.levels"]
    assert chosen_away == {"count": 22, "rows": [7, 8, 9, 10, 11]}
    assert "1 of 6 rows cannot be used" in refused(HEADER + "".join(rows) + "z,x,12,t\n", levels=["A1"], max_dropped=0)
    assert "none is left" in refused(HEADER + "".join(rows), levels=["A2"])
    # All of A1 to C1 is what nobody chose: a level more in the file is told.
    assert "levels found: 'C2' (1)" in refused(HEADER + "".join(rows), max_dropped=0)


@pytest.mark.parametrize("unread", [False, True])
def test_a_file_without_l1s(read, unread, caplog):
    content = HEADER + good_rows(2) if unread else "item_id,cefr,answer\n1,A1,one\n2,B1,two\n"
    documents, report = read(content, {"l1": ""} if unread else {})
    assert documents["l1"].tolist() == ["unknown"] * 2
    assert report.notes == {'no l1 column, kept as "unknown"': {"count": 2, "rows": [2, 3]}}
    assert "l1" not in report.columns_used
    assert ("no column for l1; if there is one, type corpus.columns.l1=HEADER" in caplog.text) != unread


def test_learners_from_ids(read, refused):
    content = HEADER + "s1_t1,x,A1,a\ns1_t2,x,A1,b\ns2-x_t1,x,A1,c\nodd,x,A1,d\n"
    documents, report = read(content, learner_from_id="^[^_]+(?=_)")
    assert documents["learner_id"].tolist() == ["", "s1", "s1", "s2-x"]
    assert report.notes == {"id not matched by corpus.learner_from_id, learner unknown": {"count": 1, "rows": [5]}}
    assert read(content, learner_from_id="s(.)")[0]["learner_id"].tolist() == ["", "1", "1", "2"]
    message = refused(content, learner_from_id="^x")
    assert "corpus.learner_from_id=^x matches no id, such as 'odd'" in message
    content = "writing_id,l1,cefr,text,student_id,topic\na_1,x,A1,t,s,food\n"
    assert "column student_id identifies learners" in refused(content, learner_from_id="^.")
    documents, _ = read(content, {"learner_id": ""}, learner_from_id="^.")
    assert documents[["learner_id", "topic"]].to_numpy().tolist() == [["a", "food"]]


def test_several_files_are_one_corpus(tmp_path):
    for name, text in {
        "A.json": '[{"id": 2, "cefr": "A1.i", "text": "a", "userid": "u"}, {"id": 3, "cefr": "A1.i", "text": ""}]',
        "B.csv": HEADER + "1,x,B1,b\n",
        "C.csv": HEADER + "2,x,B1,c\n",
        "D.csv": HEADER.replace("text", "text,split") + "4,x,B1,d,test\n",
    }.items():
        (tmp_path / name).write_text(text)
    a, b, c, d = (tmp_path / name for name in ("A.json", "B.csv", "C.csv", "D.csv"))
    reading = Reading(LEVELS, max_dropped=0.5)
    documents, report = read_corpora([a, b], reading)
    assert documents.to_numpy().tolist() == [["1", "x", "B1", "b", ""], ["2", "unknown", "A1", "a", "u"]]
    assert set(map(str, documents.dtypes)) == {"str"}
    assert documents.equals(read_corpora([b, a], reading)[0])
    assert (report.rows, report.kept, report.dropped) == (3, 2, {"A.json: empty text": {"count": 1, "rows": [2]}})
    assert report.columns_used["writing_id"] == "id, writing_id"
    assert [part.path for part in report.files] == [str(a), str(b)]
    with pytest.raises(UserError, match=r"A\.json and .*C\.csv have the same id '2' \(1 ids occur in two files\)"):
        read_corpora([a, b, c], reading)
    with pytest.raises(UserError, match=r"has a split column: type corpus\.columns\.split=''"):
        read_corpora([b, d], reading)


def test_a_dropped_row_is_no_second_document_with_its_id(read):
    documents, _ = read(HEADER + "a,French,A1,\na,French,A1,text\na,French,D9,other\n", max_dropped=0.7)
    assert documents["text"].tolist() == ["text"]


def test_rows_that_differ_only_where_nobody_looks_are_repeated(read):
    content = "n,writing_id,l1,cefr_level,text\n1,a,French,A1,x\n2,a,French,A1,x\n"
    assert read(content, max_dropped=0.5)[1].dropped == {"identical row repeated": {"count": 1, "rows": [3]}}


FAULTS = st.sampled_from(["x,French,A1,\n", ",French,A1,x\n", "x,French,,x\n", "x,French,Z,x\n", "x,French\n", "\n"])


@given(st.lists(FAULTS, max_size=20), st.randoms())
def test_the_report_always_adds_up(tmp_path_factory, faults, shuffler):
    rows = faults + good_rows(5).splitlines(keepends=True) + good_rows(2).splitlines(keepends=True)
    shuffler.shuffle(rows)
    path = tmp_path_factory.mktemp("csv") / "corpus.csv"
    path.write_text(HEADER + "".join(rows), newline="")
    documents, report = read_corpus(path, Reading(LEVELS, max_dropped=1))
    assert len(documents) == report.kept == 5
    assert report.rows == len(rows) - faults.count("\n")
    assert report.rows == report.kept + sum(found["count"] for found in report.dropped.values())
    for cause, found in (report.dropped | report.notes).items():
        assert found["rows"] == sorted(found["rows"])
        for row in found["rows"]:
            fields = next(csv.reader([rows[row - 2]]), [])
            assert (cause == "blank line, no row") == (fields == [])


# File faults: refused


def test_missing_file_folder_unreadable(tmp_path):
    for path, expected in ((tmp_path / "no.csv", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=expected):
            read_corpus(path, Reading(LEVELS))


def test_empty_file_and_no_rows(refused):
    assert "is empty" in refused("")
    assert "a header but no rows" in refused(HEADER)
    assert "a header but no rows" in refused(HEADER.rstrip())
    assert "a header but no rows" in refused(HEADER + "\n\n")
    assert "none is left" in refused(HEADER + "a,French,A1,\n", max_dropped=1.0)


def test_missing_column(refused):
    message = refused("writing_id,l1,cefr_level,text_corrected,body\na,French,A1,x,y\n")
    assert "no column for text: type corpus.columns.text=HEADER" in message
    assert "The header has: writing_id, l1, cefr_level, text_corrected, body" in message
    message = refused("a,b\n1,2\n")
    assert all(f"no column for {name}" in message for name in ("writing_id", "cefr_level", "text"))
    message = refused(HEADER + good_rows(1), {"learner_id": "student"})
    assert "corpus.columns.learner_id=student, but there is no such column" in message


def test_other_separator(refused):
    assert "its values seem to be separated by ';': type" in refused(HEADER.replace(",", ";") + "a;French;A1;x\n")


def test_one_column_under_two_names(refused):
    message = refused("id,writing_id,l1,cefr,text\n1,a,French,A1,x\n")
    assert "id and writing_id may both be writing_id" in message
    assert "corpus.columns.writing_id=id or corpus.columns.writing_id=writing_id" in message
    assert "column text is used as both l1 and text" in refused(HEADER + good_rows(1), {"l1": "text"})
    advice = "type corpus.columns.topic='' to ignore it as topic"
    assert advice in refused("writing_id,l1,cefr_level,body,topic\n" + good_rows(1), {"text": "topic"})


def test_duplicate_header(refused):
    assert "has text more than once" in refused("writing_id,l1,cefr_level,text,text\na,French,A1,x,y\n")


def test_same_id_different_text(refused):
    message = refused(HEADER + "a,French,A1,one\nb,French,A1,x\na,French,A2,two\n")
    assert "rows 2 and 4 have the same id 'a' but different contents (cefr_level, text)" in message
    assert "corpus.columns.writing_id=..." in message


def test_cut_off_inside_quotes(refused):
    message = refused(HEADER + good_rows(3) + 'w,French,A1,"It ends in the mid\ndle of')
    assert "the quoted field that opens in row 5 never ends" in message


def test_wherever_a_quoted_text_is_cut_it_is_noticed(read, refused):
    content = HEADER + good_rows(1) + 'w,French,A1,"one ""two"", three\nfour"\n'
    for end in range(content.index('"') + 1, len(content)):
        if content[:end].count('"') % 2:
            assert "field that opens in row 3 never ends" in refused(content[:end])
        else:  # nothing tells a cut between two quotes from the end of the text but the missing line end
            assert read(content[:end])[1].notes == {
                "no line end after the last row, is it whole?": {"count": 1, "rows": [3]}
            }


def test_bad_quoting(refused):
    message = refused(HEADER + good_rows(2) + 'w,French,A1,"He say \\"hello\\" to me"\n')
    assert "bad quoting in the record that starts as row 4" in message
    message = refused(HEADER + 'a,French,A1,"no end\nb,French,A1,"other"\n')
    assert "bad quoting in the record that starts as row 2" in message


def test_an_odd_quote_mark_is_the_rest_of_a_text_that_lost_its_beginning(read):
    rows = 'a,French,A1,She said "yes" to me\nb,French,A1,5" long\n'
    documents, report = read(HEADER + rows, max_dropped=0.5)
    assert documents["text"].tolist() == ['She said "yes" to me']
    assert report.dropped == {"odd number of quote marks, broken quoting": {"count": 1, "rows": [3]}}
    # The quote that closed "Thai" is lost: the next text is cut at its first line end.
    content = 'text,writing_id,cefr_level,l1\n"one",a,A1,"Thai\n"\ntwo",b,A1,Thai\n'
    documents, report = read(content, max_dropped=0.5)
    assert documents.to_numpy().tolist() == [["a", "Thai", "A1", "one"]]
    assert report.dropped == {"odd number of quote marks, broken quoting": {"count": 1, "rows": [3]}}


def test_nul_byte(refused):
    assert "row 3 contains a NUL byte" in refused(HEADER + good_rows(1) + "w,French,A1,a\0b\n")
    message = refused((HEADER + good_rows(1)).encode("utf-16-le"))
    assert "row 1 contains a NUL byte" in message
    assert "corpus.encoding=utf-16-le" in message


def test_latin_1_read_as_utf_8(refused):
    content = (HEADER + "w,French,A1,").encode() + b"caf\xe9 noir\n"
    message = refused(content)
    assert f"byte {content.index(0xE9)} (0xe9)" in message
    assert "corpus.encoding=cp1252 or corpus.encoding=latin-1" in message


def test_a_stray_byte_in_a_utf_8_file_is_no_reason_for_another_encoding(refused):
    rows = [f"w{n},French,A1,café {n}\n".encode() for n in range(9)]
    rows[3], rows[5] = b"x,French,A1,don\x92t \x93no\n", b"y,French,A1,caf\xe9\n"
    message = refused(HEADER.encode() + b"".join(rows))
    assert "(0x92) is invalid; but all other bytes are valid, with 7 non-ASCII characters" in message
    assert "3 bytes are damaged or pasted from a file in another encoding (lines 5, 7)." in message
    assert "iconv -c -f utf-8" in message
    assert "corpus.encoding=cp1252" not in message
    assert "1 byte is damaged or pasted from a file in another encoding (line 5)." in refused(
        HEADER.encode() + b"".join(rows[:3]) + b"x,French,A1,don\x92t\n"
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_utf_8_file_is_not_read_by_an_encoding_that_takes_any_bytes(read, refused, encoding):
    message = refused(HEADER + "w,French,A1,café déjà\n", encoding=encoding)
    assert f"is UTF-8, with 3 non-ASCII characters: read as {encoding}, every é would become Ã©" in message
    documents, _ = read((HEADER + "w,French,A1,café déjà\n").encode(encoding), encoding=encoding)
    assert documents["text"].tolist() == ["café déjà"]
    read(HEADER + good_rows(2), encoding=encoding)


def test_mojibake_and_markup_are_counted_by_kind(read):
    texts = {
        "mojibake": ["cafÃ©", "donâ€™t", "â€œyes", "naÃ¯ve", "50Â\xa0â‚¬"],
        "\ufffd": ["caf\ufffd"],
        "XML entities": ["R &amp; B", "&#39;", "&#x27; &lt;", "&nbsp;"],
        "HTML tags": ["one<br/>two", "<BR>", "</p>", '<span lang="fr">', "<br />"],
        "%% or ####": ["My name is %%", "####"],
        None: ["JOÃO, NÃO", "Â propos", "50 % of & AT&T; a < b > c <3 i<b and #1 ##", "â la", "<brave>", "10%"],
    }
    rows = [(kind, text) for kind, found in texts.items() for text in found]
    content = HEADER + "".join(
        f'w{n:02},French,A1,"{text}"\n'.replace('lang="fr"', 'lang=""fr""') for n, (_, text) in enumerate(rows)
    )
    documents, report = read(content)
    assert documents["text"].tolist() == [text for _, text in rows]
    found = {cause: (note["count"], note["rows"][0]) for cause, note in report.notes.items()}
    for kind in (kind for kind in texts if kind):
        (cause,) = [cause for cause in found if kind in cause]
        assert found[cause] == (len(texts[kind]), 2 + [k for k, _ in rows].index(kind)), kind
    assert len(found) == 5


def test_the_position_of_a_wrong_byte_beyond_the_first_block(refused):
    content = (HEADER + 'w,French,A1,"' + "é" * 1_500_000).encode() + b'\xff"\n'
    assert f"byte {content.index(0xFF)} (0xff)" in refused(content)


def test_cut_off_inside_a_character(refused):
    content = (HEADER + "w,French,A1,é").encode()[:-1]
    message = refused(content)
    assert f"byte {len(content) - 1} (0xc3)" in message
    assert "in the middle of a character" in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_byte_order_mark_of_another_encoding(refused, encoding):
    for content in ((HEADER + good_rows(1)).encode(encoding), (HEADER + good_rows(1)).encode("utf-8-sig")):
        stated = "utf-8" if content[:3] != b"\xef\xbb\xbf" else "latin-1"
        expected = encoding if stated == "utf-8" else "utf-8"
        message = refused(content, encoding=stated)
        assert "begins with the byte order mark" in message
        assert message.endswith(f"type corpus.encoding={expected}")


def test_utf_16_without_its_mark_and_unknown_encodings(refused):
    assert "it has no byte order mark" in refused(HEADER + good_rows(1), encoding="utf-16")
    for encoding in ("utf-9", "rot13", "hex"):
        assert f"corpus.encoding={encoding} is unknown" in refused(HEADER + good_rows(1), encoding=encoding)
