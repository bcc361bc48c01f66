"""Composed and checked settings, and the mistakes that a check tells."""

import pytest

from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.config.infill import Infill
from ilm.config.prepare import Prepare
from ilm.config.section import Section
from ilm.config.train import Train
from ilm.errors import UserError
from tests.conftest import REPOSITORY, compose

CONF = REPOSITORY / "conf"
SCHEMAS = {"prepare": Prepare, "train": Train, "evaluate": Evaluate, "infill": Infill}


def checked(root: str, *overrides: str) -> Section:
    cfg, choices = compose(root, *overrides)
    return check(cfg, SCHEMAS[root], choices)


def mistakes(root: str, *overrides: str) -> list[str]:
    """The lines of the one error that is raised."""
    with pytest.raises(UserError) as caught:
        checked(root, *overrides)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{len(lines)} mistake{'s' * (len(lines) > 1)} in the configuration:"
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]
