"""Storage URIs: what may stand in one. Keys may not, for a URI is written into a run's files."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

# of S3, Google Cloud Storage, HDFS and Azure, as Arrow reads them; none of these is a secret
HARMLESS_OPTIONS = frozenset(
    {
        "allow_bucket_creation",
        "allow_bucket_deletion",
        "allow_delayed_open",
        "blob_storage_authority",
        "check_directory_existence_before_creation",
        "client_id",
        "credential_kind",
        "default_bucket_location",
        "dfs_storage_authority",
        "enable_tls",
        "endpoint_override",
        "force_virtual_addressing",
        "kerb_ticket",
        "project_id",
        "region",
        "replication",
        "retry_limit_seconds",
        "scheme",
        "smart_defaults",
        "tenant_id",
        "tls_ca_dir_path",
        "tls_ca_file_path",
        "tls_verify_certificates",
        "user",
    }
)
_HAVE_USERS = ("abfs", "abfss", "hdfs", "viewfs")  # theirs stands before an @, without a password
_PORTED = re.compile(r"([^@:/?]+@)?[^@:/?]+:\d+/")  # what follows the colon is a port, no password
_ELSEWHERE = (
    "give keys by the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "GOOGLE_APPLICATION_CREDENTIALS, …) or in ~/.aws, and leave them out: s3://bucket/path"
)


def key_problem(location: str) -> str | None:
    """Why a storage is refused: it holds, or may hold, a key; None where it does not.

    The message does not show what it found.
    """
    if location == without_secrets(location):
        return None
    options = [name for name, value in _options(location) if not _is_harmless(name, value)]
    if options and _userinfo(location) is None:
        names = ", ".join(sorted(HARMLESS_OPTIONS))
        what = f"takes no option that may hold a key; {_ELSEWHERE}. Options that it takes: {names}"
    else:
        what = f"must hold no user and password, for it is written into the run; {_ELSEWHERE}"
    return what


def without_secrets(location: str) -> str:
    """A folder or a URI without keys, and without options that may be some."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        return location
    if (userinfo := _userinfo(location)) is not None:
        rest = rest[len(userinfo) + 1 :]
    place = rest.partition("?")[0]
    options = _options(f"{scheme}://{rest}")
    kept = [(name, value) for name, value in options if _is_harmless(name, value)]
    if kept == options:
        return f"{scheme}://{rest}"
    return f"{scheme}://{place}" + (f"?{urlencode(kept, safe=':/')}" if kept else "")


def _userinfo(location: str) -> str | None:
    """What stands before the @ of a URI, where it may be a key; one may hold any character."""
    scheme, _, rest = location.partition("://")
    before, at, _ = rest.rpartition("@")
    if not at or (scheme in _HAVE_USERS and _PORTED.match(rest)):
        return None
    is_user = "@" in rest.partition("/")[0].partition("?")[0]
    if is_user and ":" not in before:
        is_known = scheme in _HAVE_USERS or (scheme == "gs" and before == "anonymous")
        return None if is_known else before
    if not is_user and (":" not in before or _begins_with_host(before)):
        return None
    return before


def _begins_with_host(before: str) -> bool:
    """Whether an @ stands in a path or an option, after ``bucket/`` or ``bucket?``."""
    return ":" not in before.partition("/")[0].partition("?")[0]


def _options(location: str) -> list[tuple[str, str]]:
    return parse_qsl(location.partition("?")[2], keep_blank_values=True)


def _is_harmless(name: str, value: str) -> bool:
    return name in HARMLESS_OPTIONS and "@" not in value
