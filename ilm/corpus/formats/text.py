"""Text files, plain or compressed by gzip: opened with progress, and with one message for what is damaged."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from ilm.corpus.formats.encoding import check_encoding, codec_name, wrong_encoding
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
