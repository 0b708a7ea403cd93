"""Pooling."""

from tests.table.row import Row

ROWS: list[Row] = []

EQUIVALENT: dict[str, str] = {}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
