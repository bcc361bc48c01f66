"""A least-recently-used cache of loaded models, for the terminal, JSON lines and the page."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from ilm.infilling.infiller import Infiller
from ilm.infilling.mixture import Filler, Mixture, Specialists
from ilm.runs.trained_model import TrainedModel


class ModelCache:
    """Infillers by model, at most `max_loaded`; the least recently used is evicted before loading another.

    Only one thread may call `get`; any may call the other methods.
    """

    def __init__(self, load: Callable[[TrainedModel], Infiller], max_loaded: int):
        self._load, self.max_loaded = load, max_loaded
        self._infillers: OrderedDict[Path, Infiller] = OrderedDict()  # by folder
        self._fingerprints: dict[Path, str] = {}

    def __contains__(self, model: TrainedModel) -> bool:
        return model.path in self._infillers

    def fingerprint(self, model: TrainedModel) -> str | None:
        """The fingerprint of the files a model was loaded from; None if it never was."""
        return self._fingerprints.get(model.path)

    def get(self, model: TrainedModel) -> Infiller:
        """The model's Infiller, loaded if necessary. Raises: UserError as `Infiller.of`."""
        folder = model.path
        if folder not in self._infillers:
            if len(self._infillers) == self.max_loaded:
                self._infillers.popitem(last=False)
                gc.collect()
            self._infillers[folder] = self._load(model)
            self._fingerprints[folder] = model.fingerprint()
        self._infillers.move_to_end(folder)
        return self._infillers[folder]

    def get_all(self, models: Sequence[TrainedModel | Specialists]) -> dict[str, Filler]:
        """The Infillers of several models by name, including a mixture made of loaded ones."""
        return {
            model.name: Mixture({member.name: self.get(member) for member in model.members}, model.temperature)
            if isinstance(model, Specialists)
            else self.get(model)
            for model in models
        }
