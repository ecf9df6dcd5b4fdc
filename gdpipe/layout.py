"""The names of files and folders in an output and in a run.

Entries that gdpipe makes in `.staging` have signed names, so that a person's files there are never removed. The
signature is 16 hexadecimal digits of the sha256 of the name, and needs no content: a kill at any instant leaves only
signed entries.
"""

import hashlib

LATEST = "latest.json"
MANIFEST = "manifest.json"
RUNS = "runs"
REJECTED = "rejected"
STAGING = ".staging"
MOMENTS = "moments"


def signed(name: str) -> str:
    """The name followed by its signature, such as `r1-` and 16 hexadecimal digits."""
    return f"{name}-{hashlib.sha256(f'gdpipe {name}'.encode()).hexdigest()[:16]}"


def signed_name(entry: str) -> str | None:
    """The name that was signed; None where gdpipe did not make the entry."""
    name, _, _ = entry.rpartition("-")
    return name if name and signed(name) == entry else None
