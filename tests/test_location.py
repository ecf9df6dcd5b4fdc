"""What of a location may be shown."""

from pathlib import Path
from typing import Any

import pytest

import gdpipe
from gdpipe.config import TrainingConfig
from gdpipe.location import shown
from tests.conftest import gdpipe_cli, snapshot


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
        ("s3:///key:secret@bucket", "s3://***"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("file:///a@b", "file:///a@b"),
        ("s3:/key:secret@bucket/x", "***"),
        ("s3:key:secret@bucket/x", "***"),
        ("s3:/key:secret/bucket", "***"),
        ("s3//key:secret@bucket/x", "***"),
        ("s3;//key:sec/ret@bucket/x", "***"),
        ("key:secret@bucket/x", "***"),
        ("key:secret@s3://bucket/x", "***"),
        ("s3:/key:secret@bucket?x=s3://y", "***"),
        ("tcp://user:secret@host", "tcp://host"),
        ("tcp:/key:secret@host", "***"),
        ("./key:not@secret", "./key:not@secret"),
        ("/key:not@secret", "/key:not@secret"),
        ("day/2026-01-01T10:00/a@b", "day/2026-01-01T10:00/a@b"),
        ("s3://bucket/x?endpoint_override=http%3A%2F%2Fuser%3Asecret%40host", "s3://bucket/x"),
    ],
)
def test_a_location_without_credentials(location: str, expected: str) -> None:
    assert shown(location) == expected
    assert shown(expected) == expected


MISTYPED = ["s3:/key:secret@bucket/x", "s3//key:secret@bucket/x", "key:secret@bucket/x", "s3:///key:secret@bucket/x"]


@pytest.mark.parametrize("location", [*MISTYPED, "tcp://key:secret@host", "ftp://key:secret"])
def test_what_is_no_location_is_refused_without_a_word_of_it(
    location: str, data: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    train = ("--target", "y", "--output")
    commands = [
        (3, ("train", location, *train, output)),
        (2, ("train", data, *train, location)),
        (3, ("plan", location, "--target", "y")),
        (3, ("predict", location, "--run", output)),
        (2, ("predict", data, "--run", location)),
        (2, ("predict", data, "--run", output, "--output", location)),
        (2, ("show", location)),
        (2, ("prune", location, "--keep", 1)),
        (2, ("simulate", location)),
        (2, ("train", data, *train, output, "--engine", location)),
        (2, ("show", output, location)),
    ]
    for code, command in commands:
        done = gdpipe_cli(*command)
        assert done.code == code, (command, done)
        assert "secret" not in done.out + done.err
        assert done.err.count("\n") == 1
    assert snapshot(tmp_path) == before


def test_settings_are_kept_without_credentials() -> None:
    config = TrainingConfig(source="s3://key:secret@in/x", target="y", output="s3://key:secret@out/x")
    assert "secret" not in str(config.as_dict())
    assert "secret" not in str(config.with_run_id().run_id)


@pytest.mark.parametrize("setting", ["source", "output", "engine"])
@pytest.mark.parametrize("value", [["s3://key:secret@bucket"], "tcp://key:secret", "tcp:/key:secret@host", ""])
def test_a_setting_that_is_refused_is_repeated_without_credentials(setting: str, value: object) -> None:
    settings: dict[str, Any] = {"source": "a", "target": "y", setting: value}
    if setting != "engine" and isinstance(value, str) and value:
        assert "secret" not in str(TrainingConfig(**settings).as_dict())
        return
    with pytest.raises(gdpipe.ConfigError, match=setting) as refused:
        TrainingConfig(**settings)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("engine", ["tcp://user:secret@host:8786", "tcp://key:secret:8786", "tls://h?x=secret:8786"])
def test_an_engine_has_no_user_and_no_password(engine: str) -> None:
    with pytest.raises(gdpipe.ConfigError, match="engine") as refused:
        TrainingConfig(source="a", target="y", engine=engine)
    assert "secret" not in str(refused.value)
