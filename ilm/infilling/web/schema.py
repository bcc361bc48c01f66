"""The requests of the JSON API. Their settings are those of `Decoding`, some with an upper bound."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field
from pydantic_core import from_json

from ilm.config.check import build
from ilm.config.infill import Decoding
from ilm.config.section import Section
from ilm.config.sections import NotNegative, Positive, Seed
from ilm.errors import UserError

Schema = TypeVar("Schema", bound=Section)

RequestName = Annotated[str, Field(max_length=64)]  # the client's own name for a request, returned by /progress
MAX_FIELDS = 100  # more are refused unread: finding a suggestion for each unknown field takes time


class InfillRequest(Decoding):
    """Candidates of one model for a text, bounded so that one request does not block others for minutes."""

    model_config = ConfigDict(strict=True)  # JSON has types

    model: str
    text: str
    request: RequestName | None = None
    candidates: Annotated[Positive, Field(le=20)]
    beams: Annotated[NotNegative, Field(le=100)]
    max_answer_tokens: Annotated[Positive, Field(le=512)]
    seed: Annotated[Seed, Field(le=2**53)]  # JavaScript's largest whole number


class LevelsRequest(Section):
    """Which level would write the answers: in braces in the text, or a list with one for each blank."""

    model_config = ConfigDict(strict=True)

    models: Annotated[list[str], Field(min_length=1)]
    text: str
    answers: list[str] | None = None
    cut: bool
    request: RequestName | None = None


def parse_request(schema: type[Schema], body: bytes, defaults: Mapping[str, Any]) -> Schema:
    """The request in a JSON body; missing fields are filled in from `defaults`.

    Raises: UserError that lists all mistakes.
    """
    try:
        given = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise UserError(f"The request is not JSON in UTF-8: {error}") from None
    if not isinstance(given, dict) or len(given) > MAX_FIELDS:
        raise UserError(f"The request is not a JSON object with fields from {', '.join(schema.model_fields)}")
    return build(schema, **{**defaults, **given})
