"""Sums over rows: exact on a grid, or in float64."""
