"""The settings: the contract's names and defaults, and a clear refusal of everything else."""

import dataclasses
import json
import re
from typing import Any

import pytest

import gdpipe
from gdpipe.config import IMMATERIAL, ScoringConfig, TrainingConfig
from gdpipe.errors import ConfigError
from gdpipe.filters import filter_groups

DEFAULTS: dict[str, Any] = {
    "features": None,
    "exclude": (),
    "output": "runs",
    "key": (),
    "weight": None,
    "filters": None,
    "null_policy": "drop",
    "max_levels": 1000,
    "min_level_rows": 1,
    "folds": 5,
    "fold_by": (),
    "holdout": None,
    "method": "auto",
    "learning_rate": "auto",
    "tolerance": 1e-8,
    "max_iterations": 100_000,
    "max_seconds": None,
    "fit_intercept": True,
    "collinear": "min_norm",
    "penalty": "none",
    "alpha": "auto",
    "l1_ratio": 0.5,
    "arithmetic": "auto",
    "max_rmse_increase": None,
    "min_r2": None,
    "memory": "512MiB",
    "engine": "threads",
    "workers": "auto",
    "report": True,
    "predict": "all",
    "latest": True,
    "force": False,
    "run_id": None,
}

NAN, INF = float("nan"), float("inf")
WRONG: dict[str, list[Any]] = {
    "source": ["", 5, None],
    "target": ["", 5, None],
    "features": [5, [], [1], ["a", ""], ["a", "a"], "a,,b", "", b"a"],
    "exclude": [5, [1], [""], ["a", "a"], "a,,b", ""],
    "output": ["", 5, None],
    "key": [5, [1], [""], ["k", "k"], ""],
    "weight": ["", 5, ["w"]],
    "filters": [
        [],
        [[]],
        5,
        "month",
        {"month": 6},
        [["month"]],
        [["month", "<="]],
        ["month", "<=", 6],
        [["month", "~", 6]],
        [[6, "<=", "month"]],
        [[["month", "<=", 6]], []],
        [["month", "in", 6]],
        [["month", "not in", None]],
        [["month", "=", None]],
        [["month", "in", [1, NAN]]],
        [["month", "is null", 3]],
        "month <=",
        "month + 1 > 2",
        "month IN (SELECT 1)",
        "month = NULL",
        'carrier = "UA"',
        "a.b = 1",
        '[["month", "<=", 6',
    ],
    "null_policy": ["keep", None, 1],
    "max_levels": [1, 0, -5, 1.5, "many", True, None, 10**6 + 1],
    "min_level_rows": [0, -1, 1.5, "few", True, None],
    "folds": [1, -1, 21, 2.5, "5", True, None],
    "fold_by": [["a", "a"], [""], [1], 5, {"a": 1}],
    "holdout": ["month", [], [["month", "<"]], 12, {"month": 12}],
    "method": ["newton", None, "GD"],
    "learning_rate": [0, -0.5, NAN, INF, "fast", True, None],
    "tolerance": [0, -1e-8, NAN, INF, "1e-8", True, None],
    "max_iterations": [0, -1, 1.5, "100", True, None],
    "max_seconds": [0, -1, NAN, INF, "1", True],
    "fit_intercept": [1, "yes", None],
    "collinear": ["ignore", None],
    "penalty": ["l1", "LASSO", None, True],
    "alpha": [0, -1.0, NAN, INF, "best", True, None],
    "l1_ratio": [-0.1, 1.1, NAN, INF, "0.5", True, None],
    "arithmetic": ["float32", None],
    "max_rmse_increase": [-0.01, NAN, INF, "", "%", "-5%", "5 %%", "much", "nan", "inf", True, [0.05], 5, "1.01"],
    "min_r2": [1.01, NAN, INF, -INF, "0.9", True],
    "memory": ["", 5, None, "lots", "5 parsecs", "-512MiB", "MiB", "8388607", "1MiB"],
    "workers": [0, -1, 1.5, "many", "", None, True],
    "engine": ["", "dask", "tcp://localhost", "http://localhost:8786", "tcp://a/b:1", "tcp://a:1\n", 5, None],
    "report": [0, "no", None],
    "predict": ["some", None, True],
    "latest": [1, "yes", None],
    "force": [1, "yes", None],
    "run_id": ["a/b", "/a", "a\\b", "..", ".a", "-a", "", "a b", "a.b", "é", "a\n", "x" * 101, 5],
}


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig.of({"source": "data", "target": "y", **settings})


def test_settings_and_defaults_are_those_of_the_contract() -> None:
    fields = {f.name: f.default for f in dataclasses.fields(TrainingConfig)}
    assert fields.pop("source") is dataclasses.MISSING
    assert fields.pop("target") is dataclasses.MISSING
    assert fields == DEFAULTS


def test_every_setting_has_its_help() -> None:
    assert all(f.metadata["help"] for f in dataclasses.fields(TrainingConfig))


def test_settings_that_change_no_number_are_declared_so() -> None:
    assert set(IMMATERIAL) == {"run_id", "output", "memory", "engine", "workers", "latest", "force"}


def test_no_setting_escapes_the_table_of_wrong_values() -> None:
    assert set(WRONG) == {f.name for f in dataclasses.fields(TrainingConfig)}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"\b{name}\b"):
        config(**{name: value})


@pytest.mark.parametrize("name", ["source", "run", "output", "key", "filters", "memory", "engine", "workers", "run_id"])
def test_scoring_refuses_the_same(name: str) -> None:
    for value in WRONG["output" if name == "run" else name]:
        with pytest.raises(ConfigError, match=rf"\b{name}\b"):
            ScoringConfig.of({"source": "data", name: value})


@pytest.mark.parametrize("value", ["drop", "", None, True])
def test_what_unseen_levels_do_is_one_of_three(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^unseen .*: must be one of null, reference, fail$"):
        ScoringConfig.of({"source": "data", "unseen": value})


def test_features_in_one_text_are_split_outside_of_them() -> None:
    text = """x, C(carrier, ref="a,(b"), `a,b`:log(`c(d`) ,o'brien,C(e, ref='",')"""
    expected = ("x", 'C(carrier, ref="a,(b")', "`a,b`:log(`c(d`)", "o'brien", "C(e, ref='\",')")
    assert config(features=text).features == expected
    assert config(features=["C(a, ref=1)", "a,b"]).features == ("C(a, ref=1)", "a,b")
    assert config(features='["C(a, ref=1)", "b,c"]').features == ("C(a, ref=1)", "b,c")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alpha": 0.1}, r"alpha 0\.1: there is no penalty; set penalty to ridge, lasso or elastic_net"),
        ({"alpha": "auto_1se"}, "alpha auto_1se: there is no penalty"),
        ({"l1_ratio": 0.2}, r"l1_ratio 0\.2: is for elastic_net, and penalty is none"),
        ({"penalty": "ridge", "l1_ratio": 0.2}, r"l1_ratio 0\.2: .* penalty is ridge"),
        ({"penalty": "lasso", "l1_ratio": 1}, "l1_ratio 1: .* penalty is lasso"),
    ],
)
def test_what_has_no_meaning_without_its_penalty_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**settings)
    assert config(penalty="elastic_net", l1_ratio=0, alpha=0.1).l1_ratio == 0


@pytest.mark.parametrize("text", ["a (b,c", "a),b(", "a`,b", "a)b(,c"])
def test_what_is_left_open_keeps_no_comma_together(text: str) -> None:
    assert config(features=text).features == tuple(text.split(","))


def test_none_is_no_columns() -> None:
    assert config(key=None, exclude=None) == config(key=[], exclude=()) == config()


@pytest.mark.parametrize(("given", "near"), [("learnig_rate", "learning_rate"), ("max_iter", "max_iterations")])
def test_an_unknown_setting_suggests_the_near_name(given: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"{given}.*{near}"):
        config(**{given: 1})


def test_an_unknown_setting_like_no_other_lists_them_all() -> None:
    with pytest.raises(ConfigError) as caught:
        config(zzz=1)
    assert "zzz" in str(caught.value)
    assert all(f.name in str(caught.value) for f in dataclasses.fields(TrainingConfig))


def test_train_refuses_an_unknown_setting() -> None:
    with pytest.raises(ConfigError, match=r"tolerence.*tolerance"):
        gdpipe.train(source="data", target="y", tolerence=1e-6)


@pytest.mark.parametrize("name", ["source", "target"])
def test_a_required_setting_that_is_missing_is_named(name: str) -> None:
    settings = {"source": "data", "target": "y"}
    del settings[name]
    with pytest.raises(ConfigError, match=name):
        TrainingConfig.of(settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"features": ["x", "y"]}, "features.*'y'.*target"),
        ({"features": ["x", "w"], "weight": "w"}, "features.*'w'.*weight"),
        ({"weight": "y"}, "weight.*'y'.*target"),
    ],
)
def test_a_column_cannot_play_two_parts(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        config(**settings)


def test_a_column_may_be_key_and_feature() -> None:
    assert config(features=["x"], key=["x", "y"]).key == ("x", "y")


@pytest.mark.parametrize("given", ["a,b c,d", "a, b c ,d", ["a", "b c", "d"], ("a", "b c", "d")])
def test_names_are_a_list_or_text_with_commas(given: Any) -> None:
    assert config(features=given, key=given).features == ("a", "b c", "d")
    assert config(features=given, key=given).key == ("a", "b c", "d")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("8388608", 2**23),
        ("8388608B", 2**23),
        ("8192KiB", 2**23),
        ("9000KB", 9_000_000),
        ("9MB", 9_000_000),
        ("2GB", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        (" 16 mib ", 2**24),
    ],
)
def test_memory_in_bytes(text: str, size: int) -> None:
    assert config(memory=text).memory_bytes == size


@pytest.mark.parametrize(
    ("given", "share"), [("5%", 0.05), ("0.05", 0.05), (0, 0), ("12.5 %", 0.125), (1, 1), ("250%", 2.5)]
)
def test_an_increase_is_a_number_or_a_percentage(given: Any, share: float) -> None:
    made = config(max_rmse_increase=given)
    assert made.max_rmse_increase == share
    # the settings in a manifest can be read again
    assert gdpipe.TrainingConfig.of(made.as_dict()).max_rmse_increase == share
    assert made.with_run_id().max_rmse_increase == share


def test_filters_nest_once_or_twice() -> None:
    first, second = ["month", "<=", 6], ["day", "in", [1, 2]]
    assert filter_groups([first, second]) == [[("month", "<=", 6), ("day", "in", [1, 2])]]
    assert filter_groups([[first], [second]]) == [[("month", "<=", 6)], [("day", "in", [1, 2])]]


@pytest.mark.parametrize("run_id", ["a", "2026-01-31_nightly", "A" * 100, "0"])
def test_a_run_id_that_was_given_stays(run_id: str) -> None:
    assert config(run_id=run_id).with_run_id().run_id == run_id


def test_a_run_id_is_made_from_time_and_settings() -> None:
    first, second = config().with_run_id().run_id, config(tolerance=1e-6).with_run_id().run_id
    assert first is not None
    assert second is not None
    assert re.fullmatch(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{8}", first)
    assert first != second
    assert config(run_id=first).run_id == first


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().target = "z"  # type: ignore[misc]  # that is the point


def test_settings_can_be_kept_as_json() -> None:
    kept = json.loads(json.dumps(config(features=["a"], filters=[["a", "<", 1]]).as_dict()))
    assert TrainingConfig.of(kept) == config(features=["a"], filters=[["a", "<", 1]])
