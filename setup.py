"""Puts the commands and conf/ into ilm/commands/ of a wheel. Everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ilm*"]), "hydra_plugins", "ilm.commands.conf"],
    py_modules=[f"ilm.commands.{name}" for name in ("prepare", "train", "evaluate", "infill")],
    package_dir={"ilm.commands": ".", "ilm.commands.conf": "conf"},
)
