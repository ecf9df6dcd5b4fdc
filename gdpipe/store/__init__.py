"""Parquet out: runs and scores in a folder or a bucket, published whole, and the sums that are kept between runs."""
