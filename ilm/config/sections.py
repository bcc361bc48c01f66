"""Sections and types shared by several entry points. Comments give units; conf/ documents each setting."""

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from ilm.config.section import Number, Section, Whole, rule

Positive = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
Seed = NotNegative
Length = Annotated[Whole, Field(ge=2)]  # tokens of the longest example

# `ilm.examples.layout` shows each objective on the same sentence.
Objective = Literal["ilm", "no_context_ilm", "naive", "lm", "reverse_lm"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError("expected letters, digits and . _ + - only, since it names a folder")
    return name


def _with_target(node: dict[str, Any]) -> dict[str, Any]:
    if "_target_" not in node:
        raise ValueError("there is no _target_: choose an option of its group")
    return node


def _as_list(value: Any) -> Any:
    """Accept a single value for a list: brackets are easily forgotten, and special to some shells."""
    return [value] if isinstance(value, str) else value


def _as_entries(value: Any) -> Any:
    """Accept a bare path for a file whose columns have the usual names."""
    if not isinstance(value, str | dict | list):
        return value
    return [{"csv": e} if isinstance(e, str) else e for e in (value if isinstance(value, list) else [value])]


def _sorted(only: dict[str, list[str]]) -> dict[str, list[str]]:
    return {column: sorted(set(only[column])) for column in sorted(only)}


# Shells do not expand ~ within quotes.
FilePath = Annotated[str, AfterValidator(os.path.expanduser)]
FolderName = Annotated[str, AfterValidator(_folder_name)]
Node = Annotated[dict[str, Any], AfterValidator(_with_target)]  # what Hydra instantiates: a _target_ and its arguments
Names = Annotated[list[FilePath], BeforeValidator(_as_list)]  # or paths
Values = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
Only = Annotated[dict[str, Values], Field(min_length=1), AfterValidator(_sorted)]  # columns, and the values wanted


class Paths(Section):
    """Folders that commands read and write."""

    data: FilePath
    experiments: FilePath
    results: FilePath


class Columns(Section):
    """Header names; null: found by alias."""

    writing_id: str | None = None
    l1: str | None = None
    cefr_level: str | None = None
    text: str | None = None
    learner_id: str | None = None
    topic: str | None = None
    split: str | None = None


def _further_columns(names: list[str]) -> list[str]:
    if "" in names:
        raise ValueError("expected names of columns")
    if taken := [name for name in names if name.casefold() in Columns.model_fields]:
        raise ValueError(
            f"{', '.join(taken)}: documents already have a column of that name; drop it, or rename it in the file"
        )
    return sorted(set(names))


KeptColumns = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_further_columns)]


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return pattern


# Columns that a model can be conditioned on, with their words in the prefix.
CONDITIONS = {"cefr_level": "level", "l1": "first language"}


def _in_order(fields: list[str]) -> list[str]:
    return [field for field in CONDITIONS if field in fields]


Condition = Annotated[
    list[Literal["cefr_level", "l1"]], Field(min_length=1), BeforeValidator(_as_list), AfterValidator(_in_order)
]
Delimiter = Annotated[str, Field(min_length=1, max_length=1)]


class Synthetic(Section):
    """The generated sample corpus."""

    size: Positive  # texts
    seed: Seed


class Extra(Section):
    """A further file, used only as test data under its own name."""

    csv: FilePath
    name: str | None = None  # of the corpus; null: that of the file
    sheet: str | None = None
    encoding: str | None = None  # null: that of the corpus
    delimiter: Delimiter | None = None
    columns: Columns = Columns()
    keep_columns: KeptColumns = Field(default=[])
    drop_trained_on: bool = False


class Corpus(Section):
    """The texts, and how they are read."""

    name: FolderName
    csv: Annotated[Names, Field(min_length=1)] | None
    sheet: str | None
    delimiter: Delimiter | None
    reference: FilePath | None  # folder
    extra: Annotated[list[Extra], BeforeValidator(_as_entries)]
    synthetic: Synthetic | None
    encoding: str
    levels: Annotated[list[str], Field(min_length=1)]
    max_dropped: Annotated[Number, Field(ge=0)]  # share of rows
    sample_size: Positive | None  # texts
    columns: Columns
    keep_columns: KeptColumns
    learner_from_id: Annotated[str, AfterValidator(_pattern)] | None

    @rule
    def _one_source(self, at: str) -> Iterator[str]:
        if self.csv is not None and self.synthetic is not None:
            files = ",".join(self.csv)
            yield f"{at}csv={files} with a synthetic corpus: type corpus=custom corpus.name=NAME corpus.csv=..."
        if self.reference is not None and (self.csv is not None or self.synthetic is not None):
            other = f"{at}csv" if self.csv is not None else "a synthetic corpus"
            yield f"{at}reference with {other}: type corpus=custom corpus.name=NAME, and only one of the two"

    @rule
    def _columns_are_those_of_a_table(self, at: str) -> Iterator[str]:
        if self.reference is not None and self.keep_columns:
            yield f"{at}keep_columns with {at}reference, whose files have no columns: drop it"


class Masking(Section):
    """The mask function, and the masks that are drawn with it."""

    name: FolderName
    function: Node
    masks_per_document: Positive
    tries: Positive  # draws for a mask that differs from the document's earlier ones
    seed: Seed
    resample_each_epoch: bool


class Split(Section):
    """The assignment of documents to train, valid and test."""

    seed: Seed | None  # null: that of the prepared corpus


class Packing(Section):
    """The length of examples, and of the input rows they are packed into."""

    max_length: Length
    row_tokens: Whole | None

    @rule
    def _a_row_holds_the_longest_example(self, at: str) -> Iterator[str]:
        if self.row_tokens is not None and self.row_tokens < self.max_length:
            yield (
                f"{at}row_tokens={self.row_tokens} is shorter than {at}max_length={self.max_length}; "
                "a row holds whole examples"
            )
