"""From sums to a least-squares problem, and its exact solution."""
