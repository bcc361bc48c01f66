"""The settings of infill.py, and of infilling from Python."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ilm.config.check import build
from ilm.config.section import Number, Section, Whole, rule
from ilm.config.sections import Corpus, FilePath, Masking, Names, NotNegative, Paths, Positive, Seed


class Decoding(Section):
    """How answers are decoded; the defaults equal those of conf/infill.yaml.

    `sample` draws each token: after `temperature` and `top_k`, `top_p` keeps the likeliest tokens up to and including
    the one that reaches this probability (Holtzman et al. 2020, The Curious Case of Neural Text Degeneration); null
    keeps all. `greedy` takes the likeliest token at each step, for one candidate. `beam` searches for the likeliest
    candidates, in descending order. Draws depend only on `seed`, the text and the candidate's number.
    """

    method: Literal["sample", "greedy", "beam"] = "sample"
    candidates: Positive = 3  # per text
    temperature: Annotated[Number, Field(gt=0)] = 1.0
    top_k: Positive | None = None  # tokens
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = 0.95  # probability
    beams: NotNegative = 0  # 0: four times the candidates, at least 8
    distinct: bool = False  # drop duplicates; may give fewer candidates
    by_probability: bool = False  # the likeliest first, instead of the order of drawing
    max_answer_tokens: Positive = 128  # per answer, without its end token
    max_answer_words: Positive | None = 1  # per answer to a word blank without a limit of its own
    cut: bool = True  # truncate a text that is too long around its blanks, instead of refusing it
    batch_size: Positive = 128  # candidates generated together
    level: str | None = None  # condition for conditioned models; None: none
    l1: str | None = None  # likewise
    seed: Seed = 0

    @property
    def width(self) -> int:
        """Number of beams."""
        return max(self.beams, self.candidates) if self.beams else max(4 * self.candidates, 8)

    def replace(self, **values: Any) -> "Decoding":
        """A copy with other values. Raises: UserError that lists all mistakes."""
        return build(Decoding, **{**self.model_dump(), **values})

    @rule
    def _beams_for_all_candidates(self, at: str) -> Iterator[str]:
        if 0 < self.beams < self.candidates:
            yield f"{at}beams={self.beams}: expected {at}candidates={self.candidates} or more, or 0"


class Server(Section):
    """The web page served by infill.py."""

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
    seed: Seed  # for answers, and for blanks drawn in a table's texts
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
            yield f"web=true with input={self.input}: give only one of them"
