"""Opens plain or gzipped text files, with clear errors for damage and wrong encodings."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from ilm.errors import UserError

_BLOCK = 1 << 20  # bytes
_STRAY_BYTE = re.compile("[\udc80-\udcff]")  # as decoded by Python's "surrogateescape"
_BEYOND_ASCII = re.compile("[^\0-\x7f\udc80-\udcff]")
_ONE_BYTE = ("cp1252", "iso8859-1", "iso8859-15", "cp1250", "cp850", "mac-roman")  # one byte per character


@dataclass(frozen=True)
class TextFile:
    """A file in `encoding`, gzipped if `compressed`."""

    path: Path
    encoding: str
    compressed: bool

    def check(self) -> bytes:
        """The first bytes of the text. Raises: UserError for an unknown encoding or another one's byte order mark."""
        with self._damage_as_user_error(), self.binary() as file:
            head = file.read(64)
            check_encoding(self.path, self.encoding, head)
            if codec_name(self.encoding) in _ONE_BYTE:
                file.seek(0)
                _require_no_utf8(self.path, self.encoding, file)
        return head

    def binary(self) -> BinaryIO:
        """The uncompressed bytes of the text."""
        return cast(BinaryIO, gzip.open(self.path, "rb")) if self.compressed else open(self.path, "rb")

    @contextmanager
    def opened(self, newline: str) -> Iterator[TextIO]:
        """The text.

        Use inside a generator, so that errors of its consumer do not pass through here.

        Raises: UserError for bytes that are not valid gzip, or not valid in the encoding.
        """
        try:
            with (
                self._damage_as_user_error(),
                self.binary() as plain,
                io.TextIOWrapper(plain, encoding=codec_name(self.encoding), newline=newline) as text,
            ):
                yield text
        except UnicodeError as error:
            # Python's text layer gives no file position, so decode again. Gzip damage found on the way wins.
            with self._damage_as_user_error(), self.binary() as again:
                raise wrong_encoding(self.path, self.encoding, again.read()) from error

    @contextmanager
    def _damage_as_user_error(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{self.path} is damaged or truncated ({str(error) or type(error).__name__}). Get the file again"
            ) from error


_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's, so it goes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def codec_name(encoding: str) -> str:
    """Python's name of the encoding; UTF-8 is read with or without a byte order mark."""
    name = codecs.lookup(encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def check_encoding(path: Path, encoding: str, head: bytes) -> None:
    """Raise UserError if `encoding` is unknown, or the file begins with another encoding's byte order mark."""
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise UserError(f"corpus.encoding={encoding} is unknown; expected for example utf-8, cp1252, utf-16") from error
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked and codec_name(encoding) != codec_name(marked):
        raise UserError(
            f"{path} is not {encoding}: it begins with the byte order mark of {marked}; type corpus.encoding={marked}"
        )


def wrong_encoding(path: Path, encoding: str, text: bytes) -> UserError:
    """The error for a text that cannot be decoded, with the position of its first invalid byte (uncompressed)."""
    try:
        codecs.getincrementaldecoder(codec_name(encoding))().decode(text, final=True)
    except UnicodeDecodeError as error:
        at = len(text) - len(error.object) + error.start  # counts a byte order mark
        cut_off = error.reason in ("unexpected end of data", "truncated data")
        advice = "the file ends in the middle of a character; get it again" if cut_off else _advice(encoding, text)
        return UserError(f"{path} is not {encoding}: byte {at} (0x{text[at]:02x}) is invalid; {advice}")
    except UnicodeError:  # UTF-16 without a byte order mark: Python gives no position
        return UserError(f"{path} is not {encoding}: it has no byte order mark; {_other(encoding)}")
    raise RuntimeError(f"{path} changed while it was read")


def _advice(encoding: str, text: bytes) -> str:
    """What to do about invalid bytes, judging by the rest of the file."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    stray = {number: len(found) for number, line in enumerate(lines, 1) if (found := _STRAY_BYTE.findall(line))}
    characters = sum(len(_BEYOND_ASCII.findall(line)) for line in lines)
    count = sum(stray.values())
    if codec_name(encoding) != "utf-8-sig" or characters < count:
        return _other(encoding)
    shown = ", ".join(map(str, [*stray][:5])) + (", ..." if len(stray) > 5 else "")
    return (
        f"but all other bytes are valid, with {characters:,} non-ASCII characters: "
        f"{f'{count:,} bytes are' if count > 1 else '1 byte is'} damaged or pasted from a file in another encoding "
        f"(line{'s' * (len(stray) > 1)} {shown}). Correct them, or remove them with iconv -c -f utf-8 -t utf-8 "
        "OLD > NEW. (Another corpus.encoding would turn every é into Ã©.)"
    )


def _other(encoding: str) -> str:
    others = [name for name in ("utf-8", "cp1252", "latin-1") if codec_name(name) != codec_name(encoding)]
    return f"type its encoding, for example corpus.encoding={' or corpus.encoding='.join(others)}"


def _require_no_utf8(path: Path, encoding: str, file: BinaryIO) -> None:
    """Raise UserError for valid UTF-8: single-byte encodings accept any bytes, UTF-8 hardly ever by chance."""
    try:
        texts = codecs.iterdecode(iter(partial(file.read, _BLOCK), b""), "utf-8")
        characters = sum(len(_BEYOND_ASCII.findall(text)) for text in texts)
    except UnicodeDecodeError:
        return
    if characters:
        raise UserError(
            f"{path} is UTF-8, with {characters:,} non-ASCII characters: read as {encoding}, every é would become "
            "Ã©. Drop corpus.encoding"
        )
