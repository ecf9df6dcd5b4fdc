"""The two scans: what a worker does with a shard, from rows to sums."""
