"""Where something is, a path or a URI, as it may be shown: without credentials."""

import urllib.parse

# options of a PyArrow URI that say where, not who; whatever else a URI carries is not shown
HARMLESS = ("scheme", "region", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion")


def is_uri(location: str) -> bool:
    """Whether it is one; else it is a local path."""
    return "://" in location


def shown(location: str) -> str:
    """A location without credentials: what may be printed, kept and sent.

    The answer opens the same place, with credentials from the environment. Of a URI that cannot be taken apart for
    certain (a '/' in a key must be written %2F) only the scheme is left.
    """
    if not is_uri(location):
        return location
    scheme, _, rest = location.partition("://")
    place, _, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    _, at, host = authority.rpartition("@")
    if not at and ":" in host and ("@" in rest or not host.rpartition(":")[2].isdigit()):
        return f"{scheme}://***"
    options = "&".join(o for o in query.split("&") if o.partition("=")[0] in HARMLESS and "@" not in _decoded(o))
    return f"{scheme}://{host}{slash}{path}{'?' if options else ''}{options}"


def _decoded(text: str) -> str:
    return urllib.parse.unquote(text)
