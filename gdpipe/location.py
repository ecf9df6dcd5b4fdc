"""Locations, which are paths or URIs, as they may be shown: without credentials."""

import re
from urllib.parse import unquote

# the options of a PyArrow URI that may be shown, as they hold no credentials
HARMLESS = ("scheme", "region", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion")
HIDDEN = "***"
# a URI with a mistyped "://" and a user and a password after it: s3:/KEY:SECRET@bucket, KEY:SECRET@bucket
MISTYPED = (
    r"([^A-Za-z0-9_./\\]*[A-Za-z][A-Za-z0-9+.-]*(:[/\\]+[^/\\]*:|:.*@|[^\w/\\]*[/\\][/\\]+[^/\\]*:.*@)|//[^/]*:.*@)"
)
MISTYPED_REASON = (
    "looks like a URI with a user and a password in it, but has no '://' where one stands; write s3://bucket/path, or "
    "./ before a path on this machine"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")


def is_uri(location: str) -> bool:
    """Whether a location is a URI; otherwise it is a local path."""
    return "://" in location


def is_mistyped(location: str) -> bool:
    """Whether a location looks like a URI with credentials and a mistyped "://", and not like a local path."""
    return not is_uri(location) and re.match(MISTYPED, location, re.DOTALL) is not None


def shown(location: str) -> str:
    """A location without credentials, which may be printed, stored and sent.

    The result opens the same place, with credentials from the environment. It is the scheme alone where a URI cannot be
    parsed for certain (a '/' in a key must be written %2F), and nothing but `***` where the URI is mistyped.
    """
    if is_mistyped(location):
        return HIDDEN
    if not is_uri(location):
        return location
    scheme, _, rest = location.partition("://")
    before = _SCHEME.sub("", scheme)
    if "@" in location and (":" in before or "@" in before or before == scheme):
        return HIDDEN
    place, _, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    _, at, host = authority.rpartition("@")
    name, colon, port = host.rpartition(":")
    doubtful = colon and ("@" in rest or not port.isdigit() or (":" in name and not name.startswith("[")))
    lost_in_path = not authority and scheme != "file" and "@" in rest
    if not at and (doubtful or lost_in_path):
        return f"{scheme}://{HIDDEN}"
    options = "&".join(o for o in query.split("&") if o.partition("=")[0] in HARMLESS and "@" not in unquote(o))
    return f"{scheme}://{host}{slash}{path}{'?' if options else ''}{options}"


def without_credentials(text: str) -> str:
    """A text, such as another program's message, in which each location is without credentials."""
    return re.sub(r"[^\s'\"<>]+", lambda found: shown(found[0]), text)
