"""Parquet in, Parquet out: files, schemas, shards, artifacts and the store. No algorithm."""
