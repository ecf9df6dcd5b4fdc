"""The rows themselves, beside a model: residuals, and whether they agree with the sums."""
