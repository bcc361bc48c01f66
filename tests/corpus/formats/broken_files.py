"""Broken files of learner texts, by seed: `broken_file(7)` is the same file on every machine.

A file is made in three steps, each of which may break it:

1. rows: some repeated, shuffled, without a text, with a level of another scale, a header among them, ...
2. writing: a format, an encoding, an order of columns, line ends, blank lines, ...
3. damage: bytes flipped, quotes dropped, cut off, parts in another encoding, ...

After the first two it is known exactly which documents must come out (`expected`). After the third it is still known
which rows no damage has touched (`untouched`): they must come out unaltered, or be lost with a cause.
"""

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpus.formats.workbooks import workbook

NAMES = ("writing_id", "l1", "cefr_level", "text")
LEVELS = ("A1", "A2", "B1", "B2", "C1")
ENDINGS = {".csv": 50, ".tsv": 8, ".csv.gz": 8, ".json": 9, ".jsonl": 7, ".json.gz": 3, ".parquet": 8, ".xlsx": 7}
ENCODINGS = {"utf-8": 12, "utf-8-sig": 2, "utf-16": 1, "utf-16-le": 1, "cp1252": 2, "latin-1": 1}

Row = tuple[str, str, str, str]  # the values of NAMES


@dataclass
class Record:
    """One row as it is written, and the document that it is, unless an earlier row is the same."""

    values: list[str]
    document: Row | None  # None: cannot be used
    beyond: list[str] = field(default_factory=list)  # more fields than there are columns


@dataclass
class BrokenFile:
    """A file, what was done to it, and what is known of what is in it."""

    name: str
    encoding: str
    content: bytes = b""
    changes: list[str] = field(default_factory=list)
    records: int = 0
    expected: dict[str, Row] | None = None  # by id; None: damaged
    refused: bool = False  # whether it has to be
    untouched: dict[str, Row] = field(default_factory=dict)


def broken_file(seed: int) -> BrokenFile:
    """The file of this seed."""
    draw = random.Random(seed)
    ending = _weighted(draw, ENDINGS)
    is_text = ending not in (".parquet", ".xlsx")
    encoding = _weighted(draw, ENCODINGS) if is_text else "utf-8"
    # A byte order mark is no matter of the reader's setting.
    file = BrokenFile(f"corpus{ending}", "utf-8" if encoding == "utf-8-sig" else encoding)
    records = _records(draw, file, ending, encoding)
    if "sv" in ending:
        _other_widths(draw, file, records)
    file.records = len(records)
    file.expected = {}
    for record in records:
        if record.document and file.expected.setdefault(record.document[0], record.document) != record.document:
            file.refused = True  # one id for two texts
    file.refused |= not file.expected
    if is_text:
        pieces = _delimited(draw, file, ending, records) if "sv" in ending else _json(draw, ending, records)
        parts = _encoded(pieces, encoding)
        written = Counter(document for _, document in parts)
        for _ in range(draw.choice((0, 0, 1, 1, 1, 2, 3))):
            change = draw.choice(DAMAGE)
            parts = change(draw, parts, encoding)
            file.changes.append(change.__name__)
            file.expected, file.refused = None, False
        file.content = b"".join(part for part, _ in parts)
        left = Counter(document for _, document in parts)
        spoilt = {document[0] for document in written if document and left[document] < written[document]}
        file.untouched = {document[0]: document for document in left if document and document[0] not in spoilt}
        if not file.content:
            file.refused = True
        if ending.endswith(".gz"):
            file.content = gzip.compress(file.content, 6, mtime=0)
        if draw.random() < 0.02:
            file.encoding = _weighted(draw, ENCODINGS)
            file.changes.append(f"read as {file.encoding}")
            file.expected, file.refused, file.untouched = None, False, {}
    else:
        # Without checksums in a Parquet file, another text in it is no fault that anyone could see.
        checksum = ending == ".xlsx" or draw.random() < 0.5
        file.content = _parquet(draw, records, checksum) if ending == ".parquet" else _xlsx(draw, records)
        file.untouched = dict(file.expected) if checksum else {}
    if not is_text or ending.endswith(".gz"):
        _damage_packed(draw, file)
    return file


# 1. Rows


def _records(draw: random.Random, file: BrokenFile, ending: str, encoding: str) -> list[Record]:
    rows = [_row(draw, number, encoding) for number in range(draw.choice((0, 1, 2, 3, 5, 8, 13, 30, 60)))]
    records = [Record(list(row), row) for row in rows]
    of_format = CHANGES + (IN_JSON if "js" in ending else ())
    for _ in range(draw.choice((0, 0, 1, 1, 2, 4))):
        if records:
            change = draw.choice(of_format)
            change(draw, records)
            file.changes.append(change.__name__)
    return records


def one_id_for_two(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    if record.document and draw.random() < 0.2:
        text = record.values[3] + " And more."
        records.append(Record([*record.values[:3], text], (*record.document[:3], text)))


def _row(draw: random.Random, number: int, encoding: str) -> Row:
    level = draw.choice(LEVELS)
    pieces = [
        "I like",
        "my dog",
        ",",
        "“home”",
        "it’s",
        "\n",
        "\r\n",
        "\n\n\n",
        '"',
        '"yes"',
        ";",
        "\t",
        "<|endoftext|>",
    ]
    pieces += ["café", "don't", "\\", "'", "1,5", "  ", "NA", "_x000D_", "{", "}", "[", "\r", "\\u0041"]
    if encoding.startswith("utf"):
        pieces += ["😀", "日本語", "Русский", "\u2028", "\u0085", "e\u0301", "\ufeff"]
    text = " ".join(draw.choices(pieces, k=draw.randint(1, 30)))
    if encoding == "latin-1":
        text = text.replace("“", '"').replace("”", '"').replace("’", "´")
    return (f"w{number:03}", draw.choice(("French", "Thai", "Türkçe")), level, text if text.strip() else "x")


def repeated(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    records.insert(draw.randint(0, len(records)), Record(list(record.values), record.document))


def shuffled(draw: random.Random, records: list[Record]) -> None:
    draw.shuffle(records)


def header_again(draw: random.Random, records: list[Record]) -> None:
    records.insert(draw.randint(0, len(records)), Record(list(NAMES), None))


def without_a_value(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    if record.document and record.values == list(record.document):
        record.values[draw.choice((0, 2, 3))] = draw.choice(("", " ", "\t "))
        record.document = None


def without_l1(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    if record.document and record.values == list(record.document):
        record.values[1] = ""
        record.document = (record.document[0], "unknown", *record.document[2:])


def other_level(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    record.values[2] = draw.choice(("D9", "Z1", "A1-A2", "12", "B1 to B2"))
    record.document = None


def sub_level(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    if record.document and record.values == list(record.document):
        record.values[2] += draw.choice(("+", "-", ".i", ".2", "_1"))


def white_space(draw: random.Random, records: list[Record]) -> None:
    for record in records:
        record.values[0] = f" {record.values[0]}\t"
        record.values[2] = f"\n{record.values[2]}"


def ten_megabytes(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    if record.document and draw.random() < 0.1:
        record.values[3] = 'So long, "so" long.\n' * 500_000
        record.document = (*record.document[:3], record.values[3])


def half_a_pair(draw: random.Random, records: list[Record]) -> None:
    record = draw.choice(records)
    record.values[3] += draw.choice(("\ud800", "\udfff x", "\0"))
    record.document = None


def _other_widths(draw: random.Random, file: BrokenFile, records: list[Record]) -> None:
    for record in records:
        if draw.random() < 0.005:
            record.beyond, record.document = draw.choice(([""], ["one", "more"])), None
            file.changes.append("more fields than columns")


CHANGES = (
    *(repeated, shuffled, header_again, without_a_value, without_l1),
    *(other_level, sub_level, white_space, ten_megabytes, one_id_for_two),
)
IN_JSON = (half_a_pair,)


# 2. Writing

Piece = tuple[str, Row | None]  # what is written, and the document that is in it
Part = tuple[bytes, Row | None]


def _delimited(draw: random.Random, file: BrokenFile, ending: str, records: list[Record]) -> list[Piece]:
    mark = "\t" if ending.startswith(".tsv") else ","
    line_ends = draw.choice((["\n"], ["\n"], ["\r\n"], ["\r"], ["\n", "\r\n", "\r"]))
    quote_all, quote_some = draw.random() < 0.2, draw.random() < 0.3
    extra = draw.choice((0, 0, 0, 1, 3))
    order = list(range(4 + extra))
    if draw.random() < 0.3:
        draw.shuffle(order)
        file.changes.append("columns swapped")

    def line(values: list[str]) -> str:
        fields = []
        for value in values:
            needed = any(character in value for character in f'{mark}"\r\n')
            quoted = needed or quote_all or (quote_some and draw.random() < 0.5)
            fields.append('"' + value.replace('"', '""') + '"' if quoted else value)
        return mark.join(fields) + draw.choice(line_ends)

    # Columns without a name: a comma at the end of every line.
    name = draw.choice(("", "extra {}"))
    header = [*NAMES, *(name.format(number) for number in range(extra))]
    pieces: list[Piece] = [(line([header[at] for at in order]), None)]
    for record in records:
        if draw.random() < 0.02:
            pieces.append((draw.choice(line_ends), None))
        values = [*record.values, *(draw.choice(("", "x", "1,2")) for _ in range(extra))]
        values = [values[at] for at in order]
        pieces.append((line(values + record.beyond), record.document))
    if draw.random() < 0.2:
        pieces[-1] = (pieces[-1][0].rstrip("\r\n"), pieces[-1][1])
        file.changes.append("no last line end")
    return pieces


def _json(draw: random.Random, ending: str, records: list[Record]) -> list[Piece]:
    lines = ending == ".jsonl" or draw.random() < 0.3
    indent = None if lines else draw.choice((None, None, 1))
    # Half a surrogate pair can only be written with an escape.
    ascii_only = draw.random() < 0.5 or any("\ud7ff" < c < "\ue000" for r in records for c in r.values[3])
    pieces: list[Piece] = [] if lines else [(draw.choice(("[", " [\n")), None)]
    for number, record in enumerate(records):
        names = list(NAMES)
        draw.shuffle(names)
        values = {name: record.values[NAMES.index(name)] for name in names} | {"license": None, "edits": [[0, []]]}
        text = json.dumps(values, ensure_ascii=ascii_only, indent=indent)
        if lines:
            pieces.append((text + "\n", record.document))
        else:
            pieces += [(draw.choice((",", ",\n")), None)] if number else []
            pieces.append((text, record.document))
    if not lines:
        pieces.append(("]", None))
    return pieces


def _encoded(pieces: list[Piece], encoding: str) -> list[Part]:
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(encoding, b"")
    return [(mark, None), *((text.encode(codec), document) for text, document in pieces)]


def _parquet(draw: random.Random, records: list[Record], checksum: bool) -> bytes:
    columns = list(zip(*(record.values for record in records), strict=True)) or [[]] * 4
    table = pa.table({name: pa.array(values, pa.string()) for name, values in zip(NAMES, columns, strict=True)})
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression=draw.choice(("zstd", "snappy", "none")),
        row_group_size=draw.choice((3, 1000)),
        use_dictionary=draw.random() < 0.5,
        write_page_checksum=checksum,
    )
    return file.getvalue()


def _xlsx(draw: random.Random, records: list[Record]) -> bytes:
    # What looks like Excel's escape of a character is itself escaped by Excel.
    rows = [[value.replace("_x", "_x005F_x") for value in record.values] for record in records]
    return workbook({"texts": [list(NAMES), *rows]}, shared=draw.random() < 0.5)


# 3. Damage: of a text, each within one part (or all from it on), whose row is then no longer untouched


def _spoil(draw: random.Random, parts: list[Part], change: Callable[[bytes], bytes]) -> list[Part]:
    """Change one part, chosen by its length."""
    at = draw.choices(range(len(parts)), [len(part) + 1 for part, _ in parts])[0]
    before, after = parts[at][0], change(parts[at][0])
    # Where half of a line end is changed, the rest of it may end the row and the new byte begin the next one.
    reach = 1 if after[-4:] == before[-4:] else 2
    return [*parts[:at], (after, None), *((part, None) for part, _ in parts[at + 1 : at + reach]), *parts[at + reach :]]


def _shifted(parts: list[Part], encoding: str) -> list[Part]:
    """What is untouched after bytes went missing: nothing, where characters take two bytes."""
    return [(part, None) for part, _ in parts] if encoding.startswith("utf-16") else parts


def bit_flipped(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    return _spoil(draw, parts, lambda part: _flip(draw, part, 1 << draw.randrange(8)))


def byte_changed(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    return _spoil(draw, parts, lambda part: _flip(draw, part, draw.randrange(1, 256)))


def _flip(draw: random.Random, part: bytes, mask: int) -> bytes:
    if not part:
        return part
    at = draw.randrange(len(part))
    return part[:at] + bytes([part[at] ^ mask]) + part[at + 1 :]


def bytes_lost(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    def without(part: bytes) -> bytes:
        start = draw.randint(0, len(part))
        return part[:start] + part[start + draw.choice((1, 2, 10, 100)) :]

    return _shifted(_spoil(draw, parts, without), encoding)


def bytes_added(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    junk = draw.choice(
        (b"\0", b"\xed\xa0\x80", b"\xff", b'"', b",", b"\t", b"\n", b"\r", b"\\", b"}", b"\xe9", b"\x1a")
    )

    def with_junk(part: bytes) -> bytes:
        start = draw.randint(0, len(part))
        return part[:start] + junk * draw.choice((1, 1, 2, 50)) + part[start:]

    return _shifted(_spoil(draw, parts, with_junk), encoding)


def quote_dropped(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    def without_quote(part: bytes) -> bytes:
        quotes = [at for at, byte in enumerate(part[:10_000]) if byte == ord('"')]
        if not quotes:
            return part
        at = draw.choice(quotes)
        return part[:at] + part[at + 1 :]

    return _shifted(_spoil(draw, parts, without_quote), encoding)


def all_quotes_dropped(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    return _shifted([(part.replace(b'"', b""), None) for part, _ in parts], encoding)


def delimiter_changed(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    if draw.random() < 0.2:
        return [(part.replace(b",", b";"), None) for part, _ in parts]
    return _spoil(draw, parts, lambda part: part.replace(b",", b";"))


def trailing_delimiter(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    def longer(part: bytes) -> bytes:
        body = part.rstrip(b"\r\n")
        return body + b"," + part[len(body) :]

    return _shifted(_spoil(draw, parts, longer), encoding)


def cut_off(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    at = draw.randrange(len(parts))
    return [*parts[:at], (parts[at][0][: draw.randint(0, len(parts[at][0]))], None)]


def beginning_lost(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    at = draw.randrange(min(3, len(parts)))
    return _shifted([(parts[at][0][draw.randint(0, len(parts[at][0])) :], None), *parts[at + 1 :]], encoding)


def mixed_encodings(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    other = draw.choice(("cp1252", "utf-16-le", "utf-8", "latin-1"))
    return _shifted(
        _spoil(draw, parts, lambda part: part.decode(encoding, "replace").encode(other, "replace")), "utf-16"
    )


def other_order_mark(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    mark = draw.choice(
        (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\x1f\x8b", b"PK\x03\x04", b"PAR1")
    )
    return [(mark, None), *((part, None) for part, _ in parts)]


def rows_joined(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    at = draw.randrange(len(parts))
    return [
        *parts[:at],
        (parts[at][0].rstrip(b"\r\n"), None),
        *((p, None) for p, _ in parts[at + 1 : at + 2]),
        *parts[at + 2 :],
    ]


def emptied(draw: random.Random, parts: list[Part], encoding: str) -> list[Part]:
    return [(b"", None)]


DAMAGE = (
    *(bit_flipped, bit_flipped, byte_changed, byte_changed, bytes_lost, bytes_added, bytes_added, quote_dropped),
    *(quote_dropped, all_quotes_dropped, delimiter_changed, trailing_delimiter, cut_off, cut_off, beginning_lost),
    *(mixed_encodings, other_order_mark, rows_joined, emptied),
)


def _damage_packed(draw: random.Random, file: BrokenFile) -> None:
    """Damage of a compressed file: it may go unnoticed only where it changes nothing."""
    kind = draw.choice(("none", "none", "flipped", "flipped", "cut off", "lost", "added"))
    content, at = file.content, draw.randrange(len(file.content))
    if kind == "flipped":
        for _ in range(draw.choice((1, 1, 3))):
            content = _flip(draw, content, draw.randrange(1, 256))
    elif kind == "cut off":
        content = content[:at]
    elif kind == "lost":
        content = content[:at] + content[at + draw.choice((1, 4, 50)) :]
    elif kind == "added":
        content = content[:at] + draw.randbytes(draw.choice((1, 4))) + content[at:]
    if kind != "none":
        file.changes.append(f"packed file {kind}")
        file.content, file.expected, file.refused = content, None, False


def _weighted(draw: random.Random, weights: dict[str, int]) -> str:
    return draw.choices(list(weights), list(weights.values()))[0]
