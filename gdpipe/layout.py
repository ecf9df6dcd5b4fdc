"""The names in an output: what stands in its folder, and in that of a run."""

LATEST = "latest.json"
MANIFEST = "manifest.json"
RUNS = "runs"
REJECTED = "rejected"
STAGING = ".staging"
MOMENTS = "moments"
