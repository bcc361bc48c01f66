import pytest

from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import ENTRIES, Bigrams, vocabulary


@pytest.fixture(scope="module")
def infiller() -> Infiller:
    """It answers " eat" to every blank."""
    words = vocabulary()
    model = Bigrams(ENTRIES + 5)
    (eat,) = words.encode(" eat")
    model.table[[words.start_of_infill, words.end_of_infill], eat] = 50.0
    model.table[eat, words.end_of_infill] = 50.0
    return Infiller(model, words)
