"""Text files, plain or compressed by gzip: opened with progress, and with one message for what is damaged."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from ilm.errors import UserError

_PROGRESS_FROM_BYTES = 20_000_000


@dataclass(frozen=True)
class TextFile:
    """A file in `encoding`, behind gzip if `compressed`."""

    path: Path
    encoding: str
    compressed: bool

    def check(self) -> bytes:
        """The first bytes of the text. Raises UserError for an unknown encoding or another one's byte order mark."""
        with self._damage_told(), self.binary() as file:
            head = file.read(16)
        check_encoding(self.path, self.encoding, head)
        return head

    def binary(self) -> BinaryIO:
        """The bytes of the text, uncompressed."""
        return gzip.open(self.path, "rb") if self.compressed else open(self.path, "rb")

    @contextmanager
    def opened(self, newline: str) -> Iterator[tuple[io.TextIOWrapper, Callable[[], None]]]:
        """The text, and a function to call now and then, which moves the progress bar.

        For use inside a generator: errors of whoever consumes its values then do not pass through here.

        Raises: UserError where the bytes do not belong to the encoding or to gzip's format.
        """
        size = self.path.stat().st_size
        # None: shown on a terminal only.
        quiet = True if size < _PROGRESS_FROM_BYTES else None
        try:
            with (
                self._damage_told(),
                open(self.path, "rb") as raw,
                gzip.GzipFile(fileobj=raw) if self.compressed else raw as plain,
                io.TextIOWrapper(plain, encoding=codec_name(self.encoding), newline=newline) as text,
                tqdm(total=size, unit="B", unit_scale=True, desc=self.path.name, disable=quiet) as bar,
            ):
                yield text, lambda: bar.update(raw.tell() - bar.n)
                bar.update(size - bar.n)
        except UnicodeError as error:
            # Damage behind the wrong byte explains it better, so the file is first read to its end.
            with self._damage_told(), self.binary() as again:
                while again.read(1 << 20):
                    pass
            with self.binary() as again:
                raise wrong_encoding(self.path, self.encoding, again) from error

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{self.path} is damaged or cut off: gzip says {str(error) or type(error).__name__}. Get the file again"
            ) from error


# Encodings ------------------------------------------------------------------------------------------------------------

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's, so it goes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def codec_name(encoding: str) -> str:
    """Python's name of the encoding; UTF-8 with or without a byte order mark is one."""
    name = codecs.lookup(encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def check_encoding(path: Path, encoding: str, head: bytes) -> None:
    """Raise UserError if `encoding` is unknown, or the file's first bytes are another one's byte order mark."""
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise UserError(f"corpus.encoding={encoding} is not known; for example utf-8, cp1252, utf-16") from error
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked and codec_name(encoding) != codec_name(marked):
        raise UserError(
            f"{path} is not {encoding}: at byte 0 stands the byte order mark of {marked}; type corpus.encoding={marked}"
        )


def wrong_encoding(path: Path, encoding: str, file: BinaryIO) -> UserError:
    """The error for a text that cannot be decoded, with the position of its first wrong byte (uncompressed).

    `file`: its bytes, read a second time for it, since Python's text layer knows no byte positions.
    """
    decoder = codecs.getincrementaldecoder(codec_name(encoding))()
    end = 0
    while block := file.read(1 << 20):
        end += len(block)
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return _fault(path, encoding, end, error)
        except UnicodeError:  # UTF-16 without its byte order mark: Python gives no position
            return UserError(f"{path} is not {encoding}: byte 0 begins no byte order mark; {_advice(encoding)}")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _fault(path, encoding, end, error, "the file is cut off inside a character; get it again")
    raise RuntimeError(f"{path} changed while it was read")


def _fault(path: Path, encoding: str, end: int, error: UnicodeDecodeError, advice: str = "") -> UserError:
    # error.object is what the decoder had kept back and the last block: it ends at byte `end` of the file.
    offset = end - len(error.object) + error.start
    return UserError(
        f"{path} is not {encoding}: byte {offset} (0x{error.object[error.start]:02x}) does not belong to it; "
        f"{advice or _advice(encoding)}"
    )


def _advice(encoding: str) -> str:
    others = [name for name in ("utf-8", "cp1252", "latin-1") if codec_name(name) != codec_name(encoding)]
    return f"type its encoding, for example corpus.encoding={' or corpus.encoding='.join(others)}"
