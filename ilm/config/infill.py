"""The settings of infill.py, and of infilling in Python."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ilm.config.check import build
from ilm.config.section import Number, Section, Whole, rule
from ilm.config.sections import Corpus, FilePath, Masking, Names, NotNegative, Paths, Positive, Seed


class Decoding(Section):
    """How answers are found; the defaults are those of conf/infill.yaml.

    `sample` draws each token: after `temperature` and `top_k`, `top_p` keeps the likeliest tokens up to and with the
    one that reaches this probability (Holtzman et al. 2020, The Curious Case of Neural Text Degeneration); null draws
    from all. `greedy` takes the likeliest token at each step: one candidate. `beam` searches for the likeliest
    candidates, likeliest first. `seed`, the text and the candidate's number alone decide what is drawn.
    """

    method: Literal["sample", "greedy", "beam"] = "sample"
    candidates: Positive = 3  # of each text
    temperature: Annotated[Number, Field(gt=0)] = 1.0
    top_k: Positive | None = None  # tokens
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = 0.95  # probability
    beams: NotNegative = 0  # 0: four times the candidates, at least 8
    distinct: bool = False  # no candidate of a text twice; fewer if so many are not found
    by_probability: bool = False  # the likeliest first, instead of in the order of drawing
    max_answer_tokens: Positive = 128  # of each answer, without its end token
    max_answer_words: Positive | None = 1  # of each answer to a blank of type word that has no limit of words
    cut: bool = True  # read of a text too long what is nearest to its blanks, instead of refusing it
    batch_size: Positive = 128  # candidates written together
    level: str | None = None  # that a conditioned model is told; None tells none
    l1: str | None = None  # likewise
    seed: Seed = 0

    @property
    def width(self) -> int:
        """Beams of the search."""
        return max(self.beams, self.candidates) if self.beams else max(4 * self.candidates, 8)

    @property
    def answer_room(self) -> int | None:
        """Tokens to keep free for each answer where a text is cut; None refuses a text too long."""
        return self.max_answer_tokens if self.cut else None

    def replace(self, **values: Any) -> "Decoding":
        """The same with other values. Raises: UserError that lists all mistakes."""
        return build(Decoding, **{**self.model_dump(), **values})

    @rule
    def _beams_for_all_candidates(self, at: str) -> Iterator[str]:
        if 0 < self.beams < self.candidates:
            yield f"{at}beams={self.beams}: expected {at}candidates={self.candidates} or more, or 0"


class Server(Section):
    """The page that infill.py serves."""

    host: str
    port: Annotated[Whole, Field(ge=0, le=65535)]  # 0: any free one
    max_loaded: Positive  # models


class Infill(Section):
    """`python infill.py`."""

    corpus: Corpus
    masking: Masking
    models: Names | None
    input: FilePath | None
    n_masks: NotNegative | None  # words
    limit: Positive | None  # texts
    web: bool
    server: Server
    device: str
    dtype: Literal["float32", "bfloat16"]
    mixture_of: Names | None
    mixture_temperature: Annotated[Number, Field(gt=0)]
    level: str | None
    l1: str | None
    seed: Seed  # of the answers, and of the blanks drawn in a table's texts
    decoding: Decoding
    paths: Paths
    cefr: str | None = None  # the chosen option of the group

    @rule
    def _blanks_are_drawn_in_texts(self, at: str) -> Iterator[str]:
        if self.n_masks is not None and self.input is None:
            yield "n_masks draws blanks in the texts of a file: type input=FILE"
        if self.limit is not None and self.input is None:
            yield "limit takes the first texts of a file: type input=FILE"

    @rule
    def _page_or_file(self, at: str) -> Iterator[str]:
        if self.web and self.input is not None:
            yield f"web=true beside input={self.input}: give one of them"
