"""The names of files and folders in an output and in a run."""

LATEST = "latest.json"
MANIFEST = "manifest.json"
RUNS = "runs"
REJECTED = "rejected"
STAGING = ".staging"
MOMENTS = "moments"
