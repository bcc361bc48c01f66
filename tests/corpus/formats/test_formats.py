"""The same documents from every format, and what each format can hold that a text cannot be."""

import csv
import gzip
import io
import json
import os
import zipfile
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.corpus.columns import Reading
from ilm.corpus.formats import excel
from ilm.corpus.reader import read_corpus
from ilm.errors import UserError
from tests.corpus.formats.workbooks import Xml, workbook

LEVELS = ["A1", "A2", "B1", "B2", "C1"]
NAMES = ["writing_id", "l1", "cefr_level", "text", "split"]
ROWS = [
    ["w1", "French", "A1", '  He say "hello",\tthen\r\ngo \n\n\nhome. ', "train"],
    ["w2", "Русский", "B2", "I’m happy 😀 <|endoftext|> _x000D_ & <3", "valid"],
    ["w3", "日本語", "C1", "=SUM(1), -2", "test"],
]


def delimited(rows, delimiter=","):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode()


def objects(rows):
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def parquet(rows, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))), file, **options)
    return file.getvalue()


def excel_text(rows):
    # What looks like Excel's escape of a character is itself escaped by Excel.
    return [[value.replace("_x000D_", "_x005F_x000D_") for value in row] for row in rows]


WRITERS = {
    "c.csv": delimited,
    "c.csv.gz": lambda rows: gzip.compress(delimited(rows)),
    "C.TSV": lambda rows: delimited(rows, "\t"),
    "c.tsv.gz": lambda rows: gzip.compress(delimited(rows, "\t")),
    "c.txt": delimited,
    "c.json": lambda rows: json.dumps(objects(rows), indent=1).encode(),
    "c.json.gz": lambda rows: gzip.compress(json.dumps(objects(rows), ensure_ascii=False).encode()),
    "lines.json": lambda rows: "\r\n".join(map(json.dumps, objects(rows))).encode(),
    "c.jsonl": lambda rows: "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects(rows)).encode(
        "utf-8-sig"
    ),
    "c.jsonl.gz": lambda rows: gzip.compress("\n".join(map(json.dumps, objects(rows))).encode()),
    "c.parquet": parquet,
    "c.xlsx": lambda rows: workbook({"Sheet1": excel_text(rows)}),
    "shared.xlsx": lambda rows: workbook({"Sheet1": excel_text(rows)}, shared=True),
}


@pytest.fixture
def read(tmp_path):
    """read(name, content, ...): writes the content and reads it."""

    def write_and_read(name: str, content: bytes | str, columns=None, levels=LEVELS, **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_corpus(path, Reading(levels, columns or {}, **options))

    return write_and_read


@pytest.fixture
def refused(read):
    """refused(name, content, ...): the message of the UserError."""

    def message(*args, **options) -> str:
        with pytest.raises(UserError) as caught:
            read(*args, **options)
        return str(caught.value)

    return message


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_documents(read, name):
    documents, report = read(name, WRITERS[name]([NAMES, *ROWS]))
    assert documents.to_numpy().tolist() == ROWS
    assert list(documents) == NAMES
    assert all(dtype == "str" for dtype in documents.dtypes)
    assert (report.rows, report.kept, report.dropped, report.notes) == (3, 3, {}, {})


@pytest.mark.parametrize("name", WRITERS)
def test_kept_columns_of_every_format_stand_behind_the_others_untouched(read, name):
    kept = {"größe": ["1,80", "", " 2"], "a b": ["x\n y ", "é", "=1"], "id": ["1", "2", "3"]}
    rows = [[*NAMES, *kept], *([*row, *more] for row, more in zip(ROWS, zip(*kept.values(), strict=True), strict=True))]
    documents, report = read(name, WRITERS[name](rows), {"writing_id": "writing_id"}, keep_columns=["a b", "größe"])
    assert documents[NAMES].to_numpy().tolist() == ROWS
    assert documents[["a b", "größe"]].to_dict("list") == {name: kept[name] for name in ("a b", "größe")}
    assert all(dtype == "str" for dtype in documents.dtypes)
    assert report.columns_used == {name: name for name in (*NAMES, "a b", "größe")}


@pytest.mark.parametrize("name", WRITERS)
def test_row_numbers_and_faults_of_every_format(read, name):
    rows = [NAMES, *ROWS, ["", "French", "A1", "no id", "train"], ["w5", "French", "A1", " \n", "train"]]
    rows += [["w6", "", "A1", "no l1", "test"], ["w1", *ROWS[0][1:]], ["w8", "French", "A1", "x", "fold 3"]]
    first = 5 if "js" not in name and "parquet" not in name else 4
    _, report = read(name, WRITERS[name](rows), max_dropped=1)
    assert report.dropped == {
        "empty id": {"count": 1, "rows": [first]},
        "empty text": {"count": 1, "rows": [first + 1]},
        "identical row repeated": {"count": 1, "rows": [first + 3]},
        "split not train, valid or test": {"count": 1, "rows": [first + 4]},
    }
    assert report.notes == {'l1 missing, kept as "unknown"': {"count": 1, "rows": [first + 2]}}
    assert (report.rows, report.kept) == (8, 4)


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(st.lists(text, min_size=1, max_size=6), st.sampled_from(["c.json", "c.jsonl", "c.parquet", "c.tsv.gz"]))
def test_any_text_comes_back_unchanged(tmp_path_factory, texts, name):
    rows = [[f"w{number}", "French", "A1", text, "train"] for number, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("formats") / name
    path.write_bytes(WRITERS[name]([NAMES, *rows]))
    documents, _ = read_corpus(path, Reading(LEVELS))
    assert documents["text"].tolist() == texts


# Columns


def test_splits_by_their_usual_names(read):
    rows = ["Train", "training", "valid", "validation", "DEV", "val", " test"]
    content = "id,l1,cefr,text,Partition\n" + "".join(f"{n},x,A1,t,{split}\n" for n, split in enumerate(rows))
    documents, report = read("c.csv", content)
    assert documents["split"].tolist() == ["train"] * 2 + ["valid"] * 4 + ["test"]
    assert report.columns_used["split"] == "Partition"


def test_a_split_column_with_other_values_can_be_left_unread(read, refused):
    content = "id,l1,cefr,text,split\n1,x,A1,t,a\n2,x,A1,t,\n"
    message = refused("c.csv", content)
    assert "split not train, valid or test: 2 (rows 2, 3)" in message
    assert "corpus.columns.split='' to ignore column split" in message
    assert "split" not in read("c.csv", content, {"split": ""})[0]
    assert "no such column" in refused("c.csv", content, {"text": ""})


def test_sub_levels_count_as_their_main_level(read):
    values = ["A1.i", "B2.iii", "B1+", "A2-", "B1_2", "C1.1", "A1"]
    content = "id,l1,cefr,text\n" + "".join(f"{n},x,{level},t\n" for n, level in enumerate(values))
    documents, report = read("c.csv", content)
    assert documents["cefr_level"].tolist() == ["A1", "B2", "B1", "A2", "B1", "C1", "A1"]
    assert report.notes == {
        "sub-level, kept as its main level": {"count": 6, "rows": [2, 3, 4, 5, 6]},
    }
    exact, report = read("c.csv", content, levels=[*LEVELS, "B1+"])
    assert exact["cefr_level"].tolist()[2] == "B1+"
    assert report.notes["sub-level, kept as its main level"]["count"] == 5


@pytest.mark.parametrize("level", ["A1-A2", "B1/B2", "C2+", "A1 i", "Z.i", "+", "A1++", "NA"])
def test_what_is_no_sub_level(refused, level):
    assert f"levels found: {level!r} (1)" in refused("c.csv", f"id,l1,cefr,text\n1,x,{level},t\n")


def test_ids_that_repeat_in_many_chunks(read, refused):
    rows = [f"w{n % 12_000:05},x,A1,text {n % 12_000}\n" for n in range(30_000)]
    documents, report = read("c.csv", "id,l1,cefr,text\n" + "".join(rows), max_dropped=1)
    assert documents["text"].tolist() == [f"text {n}" for n in range(12_000)]
    assert report.dropped == {"identical row repeated": {"count": 18_000, "rows": list(range(12_002, 12_007))}}
    rows[25_000] = rows[25_000].replace("text", "texts")
    rows[29_000] = rows[29_000].replace("A1", "B1")
    message = refused("c.csv", "id,l1,cefr,text\n" + "".join(rows))
    assert "rows 1002 and 25002 have the same id 'w01000' but different contents (text)" in message


def test_rows_that_differ_in_their_split_alone(refused):
    message = refused("c.csv", "id,l1,cefr,text,split\n1,x,A1,t,train\n1,x,A1,t,test\n")
    assert "rows 2 and 3 have the same id '1' but different contents (split)" in message


def test_a_lenient_reader_needs_neither_ids_nor_l1(read, refused):
    content = json.dumps(
        [{"title": "NA", "lang": "en", "cefr_level": level, "text": "t"} for level in ("B1", "", "A1")]
    )
    message = refused("elle.v1.json", content)
    assert "no column for writing_id: type corpus.columns.writing_id=HEADER" in message
    assert "no column for l1" not in message
    documents, report = read("elle.v1.json", content, lenient=True, max_dropped=1)
    assert documents["writing_id"].tolist() == ["elle.v1:1", "elle.v1:3"]
    assert documents["l1"].tolist() == ["unknown", "unknown"]
    assert report.notes == {
        "no id column, named by file and row": {"count": 2, "rows": [1, 3]},
        'no l1 column, kept as "unknown"': {"count": 2, "rows": [1, 3]},
    }
    assert report.columns_used == {"cefr_level": "cefr_level", "text": "text"}
    assert "no column for text" in refused("elle.json", '[{"cefr_level": "B1"}]', lenient=True)


def test_a_file_without_a_header_gives_a_short_message(refused):
    message = refused("c.csv", "w1,French,A1,{}\nw2,French,A1,x\n".format("long " * 10_000))
    assert len(message) < 700
    assert "no column for text" in message


# JSON


def test_json_objects_may_lack_fields_and_hold_others(read):
    content = json.dumps(
        [{"id": 1, "cefr": "A1", "text": "x", "edits": [[0, [[1, 2, None]]]]}, {"l1": "Thai", "id": 2.50}]
    )
    documents, report = read("c.json", content, max_dropped=1)
    assert documents.to_numpy().tolist() == [["1", "unknown", "A1", "x"]]
    assert report.dropped == {"level missing": {"count": 1, "rows": [2]}}
    found, _ = read("c.json", '[{"id": 10000000000000000001, "cefr": "A1", "text": true, "l1": 0.10}]')
    assert found.to_numpy().tolist() == [["10000000000000000001", "0.10", "A1", "true"]]


def test_json_lines_of_the_shared_task_corpus(read):
    # The fields of W&I+LOCNESS; native speakers' texts have the level N.
    essays = [
        {"edits": [[0, [[0, 1, None]]]], "text": "One.\n\nTwo.", "id": f"{n}-1", "cefr": level, "userid": f"u{n % 2}"}
        for n, level in enumerate(["A1.i", "B2.iii", "C2.ii", "N"])
    ]
    content = "".join(json.dumps(essay) + "\n" for essay in essays)
    documents, report = read("A.train.json", content, levels=[*LEVELS, "C2"], lenient=True, max_dropped=0.3)
    assert documents["cefr_level"].tolist() == ["A1", "B2", "C2"]
    assert documents["learner_id"].tolist() == ["u0", "u1", "u0"]
    assert documents["l1"].unique().tolist() == ["unknown"]
    assert report.dropped == {"level not in corpus.levels": {"count": 1, "rows": [4]}}
    assert report.notes["sub-level, kept as its main level"] == {"count": 3, "rows": [1, 2, 3]}


def test_json_rows_that_are_no_documents(read):
    good = '{"id": "w", "l1": "x", "cefr": "A1", "text": "t"}'
    content = f'[{good}, 12, null, "text", [{good}], {{"id": "a", "id": "b", "l1": "x", "cefr": "A1", "text": "t"}},\n'
    content += '{"id": "c", "l1": "x", "cefr": "A1", "text": ["t"]}, {"id": "d", "cefr": "A1", "text": "\\ud800 t"},'
    content += '{"id": "e", "cefr": "A1", "text": "a\\u0000b"}, 123456789012]'
    documents, report = read("c.json", content, max_dropped=1)
    assert documents["writing_id"].tolist() == ["w"]
    assert report.dropped == {
        "no JSON object": {"count": 5, "rows": [2, 3, 4, 5, 10]},
        "a field named twice": {"count": 1, "rows": [6]},
        "a list or an object in place of text, in text": {"count": 1, "rows": [7]},
        "half of a surrogate pair or NUL, which no text has": {"count": 2, "rows": [8, 9]},
    }


def test_json_lines_are_numbered_by_line(read, refused):
    good = '{"id": "w%d", "l1": "x", "cefr": "A1", "text": "t"}\n'
    documents, report = read("c.jsonl", good % 1 + "\n \n" + good % 4)
    assert len(documents) == 2
    assert report.notes == {"blank line, no row": {"count": 2, "rows": [2, 3]}}
    message = refused("c.jsonl", good % 1 + "\n" + (good % 3)[:-5])
    assert "line 3 is not valid JSON: Expecting value at line 1, column 47, at the end of the file" in message
    assert "line 1 is not valid JSON" in refused("c.json", "{\n" + '"id": 1}\n')


def test_json_arrays_with_line_breaks_and_white_space(read):
    rows = [[f"w{number}", "French", "A1", f"text {number}", "train"] for number in range(3)]
    content = "\n\t " * 30_000 + json.dumps([*objects([NAMES, *rows]), 123456, "x"], indent=1) + "\r\n"
    documents, report = read("c.json", content, max_dropped=1)
    assert documents["text"].tolist() == ["text 0", "text 1", "text 2"]
    assert report.dropped == {"no JSON object": {"count": 2, "rows": [4, 5]}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("  \n", "it is empty"),
        ("text", "it begins with 'text'"),
        ("[{]", "the array is not valid JSON: Expecting property name enclosed in double quotes"),
        ('[{"id": "1"},\n {"id": "2', "Unterminated string starting at at line 2, column 9, at '\"2'"),
        ('[{"id": "1"}', "Expecting ',' delimiter at line 1, column 13, at the end of the file"),
        ('[{"id": "1"} {"id": "2"}]', "Expecting ',' delimiter at line 1, column 14"),
        ('[{"id": "1"}] [', "Extra data at line 1, column 15"),
        ('[{"id": "1"},]', "the array is not valid JSON"),
        ("[" * 100_000, "the array is nested too deeply"),
        ("[]", "no column for writing_id"),
        ('{"documents": [{"id": "1"}]}', "no column for text"),
    ],
)
def test_what_is_no_json_of_documents(refused, content, expected):
    assert expected in refused("c.json", content)


# Parquet


def table_bytes(**columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def test_parquet_columns_of_other_types(read):
    content = table_bytes(
        id=pa.array([1.0, 12.5, None]),
        l1=pa.array(["Thai", None, "Lao"]).dictionary_encode(),
        cefr=pa.array(["A1", "A1", "A1"], pa.large_string()),
        text=pa.array([b"x".decode(), "y", "z"], pa.string_view()),
        learner=pa.array([7, None, 9]),
        topic=pa.array([date(2020, 1, 31), None, date(2020, 2, 1)]),
        scores=pa.array([[1], [2], [3]]),
    )
    documents, report = read("c.parquet", content, max_dropped=1)
    assert documents.to_numpy().tolist() == [
        ["1", "Thai", "A1", "x", "7", "2020-01-31"],
        ["12.5", "unknown", "A1", "y", "", ""],
    ]
    assert report.dropped == {"empty id": {"count": 1, "rows": [3]}}
    other = table_bytes(
        id=[True, False], l1=pa.array([Decimal("1.50"), None]), cefr=["A1"] * 2, text=[datetime(2020, 1, 2)] * 2
    )
    assert read("c.parquet", other)[0].to_numpy().tolist()[1] == ["true", "1.50", "A1", "2020-01-02 00:00:00.000000"]


def test_parquet_columns_that_are_no_text(refused):
    for values, kind in (([["t"]], "list<"), ([{"t": 1}], "struct<"), ([b"\xff"], "binary")):
        message = refused("c.parquet", table_bytes(id=["1"], l1=["x"], cefr=["A1"], text=values))
        assert f"column text holds {kind}" in message


def test_parquet_of_a_prepared_corpus_keeps_its_split(read, tmp_path):
    documents, _ = read("c.csv", delimited([NAMES, *ROWS]))
    documents.to_parquet(tmp_path / "documents.parquet")
    again, _ = read_corpus(tmp_path / "documents.parquet", Reading(LEVELS))
    assert again.equals(documents)


def test_parquet_with_checksums_tells_a_changed_text(refused):
    content = parquet([NAMES, *ROWS], compression="none", use_dictionary=False, write_page_checksum=True)
    changed = content.replace(b"I\xe2\x80\x99m happy", b"I\xe2\x80\x99m harpy")
    assert changed != content
    assert "damaged or not a Parquet file" in refused("c.parquet", changed)


def test_parquet_with_another_number_of_rows_is_not_read_short(read):
    content = parquet([NAMES, *ROWS], compression="none", write_page_checksum=True)
    counts = 0
    for at in range(content.rindex(b"PAR1") - 4):
        if content[at] == 6:  # a zigzag 3, perhaps the number of rows
            changed = content[:at] + b"\x04" + content[at + 1 :]
            try:
                documents, _ = read("c.parquet", changed)
            except UserError as error:
                counts += "rows by one count and" in str(error)
            else:
                assert len(documents) == 3
    assert counts >= 2


def test_parquet_with_broken_text(refused):
    content = parquet([NAMES, *ROWS], compression="none", use_dictionary=False, write_statistics=False)
    assert content.count("😀".encode()) == 1
    message = refused("c.parquet", content.replace("😀".encode(), b"\xff\xfe\xfd\xfc"))
    assert "damaged or not a Parquet file" in message


# XLSX


def test_xlsx_numbers_dates_and_empty_cells(read):
    rows = [
        [None, "id", "l1", "cefr", "text", "topic"],
        [None, 12, "Thai", "A1", 3.5, Xml('<c r="{ref}" t="d"><v>2020-01-31T00:00:00</v></c>')],
        [],
        [None, 12345678901, None, "A1", True, None],
        [None, "w3", "Thai", "A1", Xml('<c r="{ref}" t="e"><v>#NAME?</v></c>')],
        [None, "w4", "Thai", "A1", "text", "topic", "a cell too many"],
    ]
    documents, report = read("c.xlsx", workbook({"S": [[], [], *rows]}), max_dropped=1)
    assert documents.to_numpy().tolist() == [
        ["12", "Thai", "A1", "3.5", "2020-01-31 00:00:00"],
        ["12345678901", "unknown", "A1", "TRUE", ""],
    ]
    assert report.dropped == {
        "empty text": {"count": 1, "rows": [7]},
        "wrong number of fields": {"count": 1, "rows": [8]},
    }
    assert report.notes["blank line, no row"] == {"count": 1, "rows": [5]}


def test_xlsx_with_several_sheets(read, refused):
    content = workbook({"Read me": [["hello"]], "texts": [NAMES, *ROWS]})
    message = refused("c.xlsx", content)
    assert "has the sheets Read me, texts" in message
    assert "type \"corpus.sheet='Read me'\" or another" in message
    assert len(read("c.xlsx", content, sheet="texts")[0]) == 3
    assert "and none named Texts" in refused("c.xlsx", content, sheet="Texts")
    assert "only XLSX workbooks have sheets" in refused("c.csv", delimited([NAMES, *ROWS]), sheet="texts")
    assert "no column for text" in refused("c.xlsx", workbook({"S": []}))


@pytest.mark.parametrize("far", ["XFD1048576", "A4000000000", "ZZZZZZZ1", "AAA1000000"])
def test_xlsx_with_a_cell_far_off(refused, far):
    rows = [NAMES, *ROWS, [Xml(f'<c r="{far}"><v>1</v></c>')]]
    message = refused("c.xlsx", workbook({"S": rows}))
    assert "too large an area" in message
    assert "Delete stray cells" in message


def test_xlsx_far_cells_are_seen_across_blocks(monkeypatch, refused):
    monkeypatch.setattr(excel, "_BLOCK", 7)
    assert "too large an area" in refused("c.xlsx", workbook({"S": [NAMES, [Xml('<c r="XFD1048576"><v>1</v></c>')]]}))


def test_xlsx_that_claims_to_be_encrypted(refused):
    content = bytearray(workbook({"S": [NAMES, *ROWS]}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "damaged or not an XLSX workbook" in refused("c.xlsx", bytes(content))


def test_xlsx_with_a_byte_changed_anywhere_is_noticed(read):
    content = workbook({"S": [NAMES, *ROWS]})
    whole, _ = read("c.xlsx", content)
    refused = 0
    for at in range(0, len(content), 11):
        try:
            documents, _ = read("c.xlsx", content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        except UserError:
            refused += 1
        else:
            assert documents.equals(whole)
    assert refused > len(content) / 11 / 3


# A name that does not say what is in the file


@pytest.mark.parametrize(
    ("written", "named", "expected"),
    [
        ("c.xlsx", "c.csv", "is a zip archive: rename it to end in .xlsx if it is a workbook"),
        ("c.xlsx", "c.zip", "is a zip archive: rename it to end in .xlsx if it is a workbook"),
        ("c.csv.gz", "c.csv", "is compressed by gzip, but its name does not say so; rename it to end in .gz"),
        ("c.parquet", "c.json", "is a Parquet file, but its name does not say so; rename it to end in .parquet"),
        ("c.parquet", "c.xlsx", "is a Parquet file, but its name does not say so"),
        ("c.csv", "c.parquet", "ends in .parquet, but its contents are not in that format"),
        ("c.csv", "c.xlsx", "ends in .xlsx, but its contents are not in that format"),
        ("c.csv", "c.csv.gz", "ends in .gz, but its contents are not in that format"),
        ("c.json", "c.csv", "it looks like JSON: rename the file to end in .json"),
        ("C.TSV", "c.csv", "its values seem to be separated by '\\t': rename the file to end in .tsv"),
        ("c.csv", "c.json", "is neither a JSON array of objects nor one object per line: it begins with 'writing_id"),
        ("c.parquet", "c.parquet.gz", "unpack it first: gunzip c.parquet.gz"),
    ],
)
def test_a_name_of_another_format(refused, written, named, expected):
    assert expected in refused(named, WRITERS[written]([NAMES, *ROWS]))


@pytest.mark.parametrize("name", ["c.zip", "c.csv", "c.csv.zip"])
def test_a_zip_with_a_csv_in_it(refused, name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("texts/texts.csv", "id,cefr,text\n")
    message = refused(name, file.getvalue())
    assert (
        f"is a zip archive: rename it to end in .xlsx if it is a workbook; otherwise unpack it (unzip {name})"
        in message
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "is a Git LFS pointer"),
        ("\ufeff\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page"),
        ("<html lang='en'>", "is a web page"),
        ('<?xml version="1.0"?><selections><writings><writing id="1" level="3">', "teaching level, 1 to 16, not CEFR"),
        ('<writing id="1" level="3" unit="2"><text>', "convert it to a CSV file with the columns writing_id"),
    ],
)
@pytest.mark.parametrize("name", ["c.csv", "c.json", "c.csv.gz"])
def test_what_is_saved_in_the_place_of_a_file(refused, name, content, expected):
    assert expected in refused(name, gzip.compress(content.encode()) if name.endswith(".gz") else content)


@pytest.mark.parametrize("mark", [";", "|"])
def test_other_delimiters(read, refused, mark):
    rows = [[value.replace("\r", "") for value in row] for row in (NAMES, *ROWS)]
    content = delimited(rows, mark)
    message = refused("c.csv", content)
    assert (
        f"c.csv: its values seem to be separated by '{mark}': type \"corpus.delimiter='{mark}'\"; otherwise" in message
    )
    assert read("c.csv", content, delimiter=mark)[0].equals(read("c.csv", delimited(rows, ","))[0])


@pytest.mark.parametrize("value", ["", "<v/>", "<v></v>"])
def test_xlsx_formulas_that_were_never_calculated(read, refused, value):
    for formula in ("<f>A1&amp;B1</f>", '<f t="shared" si="0"/>'):
        cell = Xml(f'<c r="{{ref}}" s="1">{formula}{value}</c>')
        assert "has a formula without a value at D2: it was never" in refused(
            "c.xlsx", workbook({"S": [["id", "l1", "cefr", "text"], ["w", "x", "A1", cell]]})
        )
    fine = Xml('<c r="{ref}" t="str"><f>B1</f><v></v></c>'), Xml('<c r="{ref}" t="str"><f>B1</f><v>text</v></c>')
    documents, _ = read("c.xlsx", workbook({"S": [["id", "l1", "cefr", "text"], ["w", fine[0], "A1", fine[1]]]}))
    assert documents["text"].tolist() == ["text"]


def test_gzip_inside_gzip_and_old_excel(refused):
    assert "is compressed by gzip" in refused("c.csv.gz", gzip.compress(gzip.compress(b"a,b\n")))
    assert "save it as .xlsx without one, or as .csv" in refused("c.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert "is empty" in refused("c.csv.gz", gzip.compress(b""))
    assert "is empty" in refused("c.parquet", b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    """What the first look has read of it would be missing at the second."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe is not a regular file .*: save it to a file first"):
        read_corpus(tmp_path / "pipe", Reading(LEVELS))


@pytest.mark.parametrize("name", ["c.csv.gz", "c.json.gz"])
def test_a_gzip_file_cut_off_anywhere(refused, name):
    content = WRITERS[name]([NAMES, *ROWS])
    for end in range(2, len(content), 7):
        assert "damaged or truncated" in refused(name, content[:end])


def test_a_wrong_byte_behind_gzip(refused):
    content = delimited([NAMES, *ROWS]) + b"w9,caf\xe9,A1,x,test\n"
    assert f"byte {content.index(0xE9)} (0xe9)" in refused("c.csv.gz", gzip.compress(content))


@pytest.mark.parametrize("name", ["texts.csv", "texts.json"])
def test_a_file_of_texts_alone(read, name):
    texts = ["Hello there, my friend.", "I likes it"]
    content = json.dumps([{"text": text} for text in texts])
    if name.endswith("csv"):
        content = "text\n" + "".join(f'"{text}"\n' for text in texts)
    documents, _ = read(name, content, lenient=True, need_level=False)
    assert documents["text"].tolist() == texts
