"""What of a location may be shown."""

import pytest

from gdpipe.config import TrainingConfig
from gdpipe.location import shown


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("runs", "runs"),
        ("a@b/c:d", "a@b/c:d"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://key:secret@bucket/a b", "s3://bucket/a b"),
        ("s3://key:sec@ret@bucket", "s3://bucket"),
        ("s3://key:sec/ret@bucket/x", "s3://***"),
        ("s3://key:12/ret@bucket/x", "s3://***"),
        ("s3://key:sec?ret@bucket/x", "s3://***"),
        ("s3://key:secret", "s3://***"),
        ("hdfs://user@host:8020/x", "hdfs://host:8020/x"),
        ("hdfs://host:8020/x", "hdfs://host:8020/x"),
        ("s3://bucket/x?scheme=http&region=eu&session_token=secret", "s3://bucket/x?scheme=http&region=eu"),
        ("s3://bucket/x?client_secret=secret", "s3://bucket/x"),
        ("s3://bucket/x?endpoint_override=http%3A%2F%2Fuser%3Asecret%40host", "s3://bucket/x"),
    ],
)
def test_a_location_without_credentials(location: str, expected: str) -> None:
    assert shown(location) == expected


def test_settings_are_kept_without_credentials() -> None:
    config = TrainingConfig(source="s3://key:secret@in/x", target="y", output="s3://key:secret@out/x")
    assert "secret" not in str(config.as_dict())
    assert "secret" not in str(config.with_run_id().run_id)
