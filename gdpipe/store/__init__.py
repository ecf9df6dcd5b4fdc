"""Writing and reading of runs and scores in a folder or a bucket, published whole, and the cache of sums."""
