"""Statistics of single rows: residuals, and their agreement with the sums."""
