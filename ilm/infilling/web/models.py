"""The models that the page offers, and those of them that are in memory."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import model_fingerprint
from ilm.infilling.folders import infilling_folder
from ilm.infilling.infiller import Infiller
from ilm.models.loading import load_tokenizer

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class ServedModel:
    """A model that may be asked: `level` is what it was trained on, `load` makes its Infiller.

    `fingerprint` is that of its files as they are now: a name may come to stand for other weights.
    """

    name: str
    level: str
    mask_types: tuple[str, ...]
    load: Callable[[], Infiller]
    fingerprint: Callable[[], str]


def served_models(folders: Mapping[str, Path], device: str, dtype: str = "float32") -> list[ServedModel]:
    """The models in these folders (runs, or folders in Hugging Face format), their weights unread.

    Raises: UserError for a folder without a model, without infilling tokens, or of a run of another objective.
    """
    return [_served(name, Path(path), device, dtype) for name, path in folders.items()]


def _served(name: str, path: Path, device: str, dtype: str) -> ServedModel:
    folder, run = infilling_folder(path)
    level = name if run is None else run.config["cefr_level"]["name"]
    mask_types = Vocabulary.of_trained(load_tokenizer(str(folder))).mask_types
    return ServedModel(
        name,
        level,
        mask_types,
        load=lambda: Infiller.from_pretrained(path, device, dtype),
        fingerprint=lambda: model_fingerprint(folder),
    )


class Shelf:
    """The models in memory, at most `most`: for another one the one that was asked longest ago is put away.

    One thread takes, any may look.
    """

    def __init__(self, most: int):
        self._most = most
        self._held: OrderedDict[str, Infiller] = OrderedDict()
        self._fingerprints: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def fingerprint(self, name: str) -> str | None:
        """Of the files that a model came from when it was last read; None before."""
        return self._fingerprints.get(name)

    def take(self, model: ServedModel) -> Infiller:
        """The model's Infiller, from its files if it is not in memory.

        Raises: UserError as `Infiller.from_pretrained` does.
        """
        if model.name in self._held:
            self._held.move_to_end(model.name)
            return self._held[model.name]
        # Before the new one is read, so that there are never more.
        while len(self._held) >= self._most:
            oldest = next(iter(self._held))
            del self._held[oldest]
            gc.collect()
            log.debug("%s is put away to make room for %s", oldest, model.name)
        self._held[model.name] = model.load()
        self._fingerprints[model.name] = model.fingerprint()
        return self._held[model.name]
