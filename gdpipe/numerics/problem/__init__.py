"""The least-squares problem made from sums, and its exact solution."""
