"""`hydra/sweeper=staged`: a sweep in stages, for runs that need other runs. Hydra finds its plugins in this package.

`stages` are lists of command lines for `train.py -m`. All runs of a stage end before the next one starts, so a line may
refer to runs of earlier stages:

    stages:
      - ["cefr=A1,A2,all"]
      - ["experiment=token_matched match=A1,A2"]

Overrides apply in the order `params`, those typed, the line's; the last value of a key wins. Keys swept by the stages
cannot be typed. The experiment that defines the stages does not apply to their runs.
"""

import shlex
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from ilm.errors import UserError


class StagedSweeper(BasicSweeper):
    """Hydra's basic sweeper, with the stages as the batches that it launches one after another."""

    def __init__(self, stages: Sequence[Sequence[str]], params: dict[str, str] | None = None):
        super().__init__(max_batch_size=None, params=params)
        self.stages = stages

    def split_arguments(  # type: ignore[override]  # static in Hydra
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """The overrides of each run of each stage; `overrides` are those of `params`, then those typed.

        Raises: UserError if a key swept by the stages was typed.
        """
        parser = OverridesParser.create()
        lines = [[parser.parse_overrides(shlex.split(line)) for line in stage] for stage in self.stages]
        swept = {
            override.key_or_group
            for stage in lines
            for line in stage
            for override in line
            if override.is_sweep_override()
        }
        for override in overrides:
            if override.key_or_group in swept - {*self.params}:
                raise UserError(
                    f"{override.input_line}: {override.key_or_group} differs from run to run here; leave it out"
                )
        common = [override for override in overrides if override.key_or_group != "experiment"]
        return [
            [run for line in stage for run in BasicSweeper.split_arguments([*common, *line], None)[0]]
            for stage in lines
        ]


NODE = {"_target_": "hydra_plugins.staged_sweeper.StagedSweeper", "params": {}}
ConfigStore.instance().store(group="hydra/sweeper", name="staged", node=NODE, provider="ilm")
