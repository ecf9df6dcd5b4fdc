"""Names in `.staging` that say by themselves that gdpipe made them: a person's files there are never taken for ours.

A name is signed by 16 hexadecimal digits of the sha256 of itself. Nothing has to be written into a file for that, so
no kill, at whatever instant, leaves something of ours that cannot be told from something of another's.
"""

import hashlib


def signed(name: str) -> str:
    """A name with its signature behind it, such as `r1-` and 16 hexadecimal digits."""
    return f"{name}-{hashlib.sha256(f'gdpipe {name}'.encode()).hexdigest()[:16]}"


def signed_name(entry: str) -> str | None:
    """The name that was signed; None where the entry is not one that gdpipe made."""
    name, _, _ = entry.rpartition("-")
    return name if name and signed(name) == entry else None
