"""Where something is, a path or a URI, as it may be shown: without credentials."""

import re
import urllib.parse

# options of a PyArrow URI that say where, not who; whatever else a URI carries is not shown
HARMLESS = ("scheme", "region", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion")
HIDDEN = "***"
# a URI with an error in its "://", and a user and a password behind it: s3:/KEY:SECRET@bucket, KEY:SECRET@bucket
MISTYPED = (
    r"([^A-Za-z0-9_./\\]*[A-Za-z][A-Za-z0-9+.-]*(:[/\\]+[^/\\]*:|:.*@|[^\w/\\]*[/\\][/\\]+[^/\\]*:.*@)|//[^/]*:.*@)"
)
MISTYPED_REASON = (
    "looks like a URI with a user and a password in it, but has no '://' where one stands; write s3://bucket/path, or "
    "./ before a path on this machine"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")


def is_uri(location: str) -> bool:
    """Whether it is one; else it is a local path."""
    return "://" in location


def is_mistyped(location: str) -> bool:
    """Whether it is taken for a URI with credentials whose "://" is wrong, and not for a path of this machine."""
    return not is_uri(location) and re.match(MISTYPED, location, re.DOTALL) is not None


def shown(location: str) -> str:
    """A location without credentials: what may be printed, kept and sent.

    The answer opens the same place, with credentials from the environment. Of a URI that cannot be taken apart for
    certain (a '/' in a key must be written %2F) only the scheme is left, and nothing of one that is mistyped.
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
    options = "&".join(o for o in query.split("&") if o.partition("=")[0] in HARMLESS and "@" not in _decoded(o))
    return f"{scheme}://{host}{slash}{path}{'?' if options else ''}{options}"


def without_credentials(text: str) -> str:
    """Text in which locations may stand, such as another program's message, with each of them as it may be shown."""
    return re.sub(r"[^\s'\"<>]+", lambda found: shown(found[0]), text)


def _decoded(text: str) -> str:
    return urllib.parse.unquote(text)
