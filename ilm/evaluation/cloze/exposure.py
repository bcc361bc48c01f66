"""Whether a model trained here has read the texts that it is asked about."""

from pathlib import Path
from typing import Any

import pandas as pd

from ilm.corpus.leakage import shared_with
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.cloze.models import Source


def texts_seen(source: Source, documents: pd.DataFrame, data: Path) -> dict[str, Any]:
    """How many of `documents` are equal to a training text of the model's corpus (case and white space folded).

    {"texts": number or None, "corpus": name or None, "why_unknown": ...}; unknown for a model that was not trained
    here, or on a corpus that is not in `data` any more.
    """
    trained = source.trained
    if trained is None or trained.run is None:
        return {"texts": None, "corpus": None, "why_unknown": "what it was trained on is not known here"}
    name, trained_on = trained.corpus_name, trained.documents_hash
    try:
        corpus = PreparedCorpus.open(data / name)
    except UserError:
        corpus = None
    if corpus is None or corpus.documents_hash != trained_on:
        why = f"its corpus {name} (documents {trained_on}) is not in {data}"
        return {"texts": None, "corpus": name, "why_unknown": why}
    shared = shared_with(documents, corpus.documents, near_duplicates=None)
    return {"texts": shared.texts, "corpus": name, "why_unknown": None}
