"""Infilling language models for learner English (Donahue, Lee and Liang, ACL 2020)."""

__version__ = "0.1.0"
