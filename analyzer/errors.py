"""Errors of the analyzer package: one root, and below it only what some caller catches."""

from __future__ import annotations


class AnalyzerError(Exception):
    """Root of every error that the analyzer raises on purpose."""


class StoreError(AnalyzerError):
    """The store cannot be opened, read or written, or refuses a change."""


class AssessmentError(AnalyzerError):
    """An assessment run cannot be created or changed as asked."""
