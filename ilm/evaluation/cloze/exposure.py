"""Whether a model trained here has read the texts that it is asked about."""

from pathlib import Path
from typing import Any

import pandas as pd

from ilm.corpus.leakage import shared_with
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.cloze.models import Source
from ilm.infilling.folders import infilling_folder


def texts_seen(source: Source, documents: pd.DataFrame, data: Path) -> dict[str, Any]:
    """How many of `documents` are equal to a training text of the model's corpus (case and white space folded).

    {"texts": number or None, "corpus": name or None, "why_unknown": ...}; unknown for a model that was not trained
    here, or on a corpus that is not in `data` any more.
    """
    run = infilling_folder(Path(source.location))[1] if source.kind == "ilm" else None
    if run is None:
        return {"texts": None, "corpus": None, "why_unknown": "what it was trained on is not known here"}
    identity = run.record["identity"]
    name, trained_on = identity["corpus.name"], identity["data.documents"]
    try:
        corpus = PreparedCorpus.open(data / name)
    except UserError:
        corpus = None
    if corpus is None or corpus.documents_hash != trained_on:
        why = f"its corpus {name} (documents {trained_on}) is not in {data}"
        return {"texts": None, "corpus": name, "why_unknown": why}
    shared = shared_with(documents, corpus.documents, near_duplicates=None)
    return {"texts": shared.texts, "corpus": name, "why_unknown": None}
