"""Parquet in: which files there are, what their footers say, and the rows in them."""
