"""What a run starts from: the settings of its model and of an adapter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ilm.config.section import Number, Section, Whole, rule, shown
from ilm.config.sections import FilePath, FolderName, Positive


class Model(Section):
    """The language model that a run starts from."""

    name: FolderName | None
    path: FilePath | None
    package: str | None
    gguf_file: str | None
    pretrained: bool
    tokenizer: Literal["gpt2", "corpus"] | None
    tokenizer_size: Whole | None  # entries
    architecture: dict[str, Any] | None

    @property
    def label(self) -> str:
        """What tables and names of runs call it."""
        return self.name or Path(self.location).name

    @property
    def location(self) -> str:
        """`path`, where there must be one (`_there_is_a_model`)."""
        assert self.path is not None
        return self.path

    @rule
    def _tokenizer_of_the_corpus(self, at: str) -> Iterator[str]:
        if self.tokenizer == "corpus" and (self.tokenizer_size or 0) < 257:
            yield f"{at}tokenizer_size={shown(self.tokenizer_size)}: a byte-level BPE needs more than 256 entries"
        if self.tokenizer == "corpus" and self.pretrained:
            yield f"{at}pretrained=true with {at}tokenizer=corpus: pretrained weights need their own tokenizer"

    @rule
    def _there_is_a_model(self, at: str) -> Iterator[str]:
        if self.path is None and (self.pretrained or self.tokenizer is None or self.architecture is None):
            yield f"{at}path has no value: type {at}path=NAME_OR_FOLDER, a model on the hub or a folder in its format"
        if self.path is None and self.name is None:
            yield f"{at}name has no value"


class Adapter(Section):
    """LoRA."""

    rank: Positive
    alpha: Annotated[Number, Field(ge=0)]
    dropout: Annotated[Number, Field(ge=0, lt=1)]
    target_modules: list[str] | None
