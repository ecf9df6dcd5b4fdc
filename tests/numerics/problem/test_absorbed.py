"""A block of terms that share no rows, absorbed: the fit of the whole matrix, in rational arithmetic, to the bit."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gdpipe.config import TrainingConfig
from gdpipe.design import Category, Design, Feature, Input, Number
from gdpipe.fit import Fit, fit, standardize
from gdpipe.numerics.descent.descent import Status
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.dependencies import integer_matrix
from gdpipe.numerics.problem.fixed_point import to_fixed
from gdpipe.numerics.rows.linear import mean_squared_error
from gdpipe.numerics.sums.moments import Moments
from tests.numerics.build import Floats, moments, with_block

LEVELS = 30


@dataclass(frozen=True, eq=False)
class Data:
    """Columns of terms, shape (p, n), of which some are the levels of one category, and a target."""

    terms: Floats
    target: Floats
    weights: Floats | None
    levels: range

    def sums(self) -> Moments:
        return moments(np.vstack([self.terms, self.target]), self.weights)

    def both(self, **settings: Any) -> tuple[Fit, Fit]:
        """The fit of the whole matrix, and that with the block absorbed."""
        config = TrainingConfig(source="X", target="y", **settings)
        design, whole = Design.of_numbers([f"x{j}" for j in range(len(self.terms))]), self.sums()
        return fit(whole, design, config), fit(with_block(whole, self.levels), design, config)


def one_hot(codes: Any, labels: range) -> Floats:
    return np.array([codes == label for label in labels], float)


def some_data(seed: int, *, weighted: bool = False, dependent: bool = False, reference: bool = True) -> Data:
    """Numbers that go with a category, another category, and perhaps what the first one determines."""
    rng = np.random.default_rng(seed)
    n = 1500
    code = rng.integers(0 if reference else 1, LEVELS, n)
    numbers = rng.normal(5, 2, (3, n)) * [[1.0], [1e3], [1e-6]]
    numbers[0] = np.round((numbers[0] + code / 7) * 8) / 8
    parts = [numbers[:2], one_hot(rng.integers(0, 4, n), range(1, 4)), one_hot(code, range(1, LEVELS)), numbers[2:]]
    start = 5
    if dependent:
        # regions of levels before them; a number of each level, a constant, and a multiple after them
        regions = one_hot(code // 5, range(1, LEVELS // 5))
        parts = [regions, *parts, np.round(np.cos(code) * 8)[None] / 8, np.full((1, n), 3.0), 2 * numbers[:1]]
        start += len(regions)
    terms = np.vstack(parts)
    slopes = rng.normal(size=len(terms)) / (terms.std(axis=1) + (terms.std(axis=1) == 0))
    target = slopes @ terms + rng.normal(size=n)
    return Data(terms, target, rng.uniform(0.5, 3, n) if weighted else None, range(start, start + LEVELS - 1))


def assert_same_inference(ours: Fit, theirs: Fit, rtol: float = 1e-12) -> None:
    for name in ("std_error", "std_error_scaled", "t_value", "p_value", "ci_lower", "ci_upper", "vif"):
        np.testing.assert_allclose(getattr(ours.terms, name), getattr(theirs.terms, name), rtol=rtol, err_msg=name)
    for name in ("r2", "adjusted_r2", "f_statistic", "aic", "df_residual"):
        assert getattr(ours.statistics, name) == pytest.approx(getattr(theirs.statistics, name), rel=1e-12), name


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_has_the_bits_of_the_whole_matrix(weighted: bool, fit_intercept: bool) -> None:
    whole, absorbed = some_data(1, weighted=weighted).both(fit_intercept=fit_intercept)
    assert whole.regression.absorbed is None
    assert absorbed.regression.absorbed is not None
    assert absorbed.certificate.passed
    assert absorbed.ols.coef.tolist() == whole.ols.coef.tolist()
    assert (absorbed.ols.intercept, absorbed.ols_loss) == (whole.ols.intercept, whole.ols_loss)
    assert absorbed.regression.scaling.scales.tolist() == whole.regression.scaling.scales.tolist()
    assert_same_inference(absorbed, whole)
    # the level coefficients are the best for the others, so that fewer steps are enough
    assert absorbed.solution.iterations < whole.solution.iterations
    difference = to_fixed(absorbed.solution.coef_scaled.tolist()) - to_fixed(whole.baseline.coef_scaled)
    expected = whole.regression.problem.excess_loss(difference)
    assert absorbed.certificate.excess_loss == pytest.approx(expected, rel=1e-9)
    assert np.linalg.norm([float(d) / 2**256 for d in difference]) <= absorbed.solution.distance_bound


def test_three_levels_by_hand() -> None:
    # y = level mean + 2·(x - its mean) on every row but two, which are 1 above and 1 below
    x = np.array([0.0, 1.0, 2.0, 3.0, 5.0, 6.0])
    code = np.array([0, 0, 1, 1, 2, 2])
    y = np.array([1.0, 3.0, 10.0, 12.0, 20.0, 22.0]) + np.array([1, 1, 0, 0, -2, -2])
    sums = moments(np.vstack([x, one_hot(code, range(1, 3)), y]))
    found = fit(with_block(sums, range(1, 3)), Design.of_numbers("xab"), TrainingConfig(source="X", target="y"))
    assert found.regression.absorbed is not None
    assert found.ols.coef.tolist() == [2.0, 4.0, 6.0]  # means 3 - 2·0.5, 11 - 2·2.5, 19 - 2·5.5, less the first
    assert found.ols.intercept == 2.0
    assert found.ols_loss == 0.0


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_dependent_terms_have_the_coefficients_of_least_norm(reference: bool, fit_intercept: bool) -> None:
    whole, absorbed = some_data(2, dependent=True, reference=reference).both(fit_intercept=fit_intercept)
    assert absorbed.regression.absorbed is not None
    ours, theirs = absorbed.regression.dependencies, whole.regression.dependencies
    assert (ours.constant, len(ours.relations)) == (theirs.constant, len(theirs.relations))
    assert all(relation.exact for relation in ours.relations)
    # the scales of the whole matrix are squared exactly there, and rounded here: the last digit may differ
    np.testing.assert_allclose(absorbed.ols.coef, whole.ols.coef, rtol=1e-14, atol=1e-15)
    assert absorbed.ols_loss == whole.ols_loss
    assert absorbed.certificate.passed
    assert absorbed.regression.identified == whole.regression.identified
    assert_same_inference(absorbed, whole)


def test_relations_hold_on_every_row() -> None:
    data = some_data(3, dependent=True)
    _, absorbed = data.both()
    for relation in absorbed.regression.dependencies.relations:
        for row in data.terms.T[:50].tolist():
            terms = (c * Fraction(x) for c, x in zip(relation.coefficients, row, strict=True))
            assert sum(terms, Fraction(0)) == relation.constant
    lines = "; ".join(absorbed.dependencies)
    assert "x42 = 2 x5;" in f"{lines};"
    assert "x41 is constant (3)" in lines
    assert "x0 = x14 + x15 + x16 + x17 + x18" in lines


def test_dropped_terms_are_others_than_those_of_the_block() -> None:
    whole, absorbed = some_data(2, dependent=True).both(collinear="drop")
    dropped = absorbed.regression.dependencies.redundant
    assert len(dropped) == len(whole.regression.dependencies.redundant)
    assert not set(dropped) & {*some_data(2, dependent=True).levels}
    assert (absorbed.ols.coef[dropped] == 0).all()
    assert absorbed.ols_loss == whole.ols_loss
    assert absorbed.certificate.passed


@pytest.mark.parametrize("weighted", [False, True])
def test_terms_may_depend_to_rounding_only(weighted: bool) -> None:
    data = some_data(4, weighted=weighted)
    code = data.levels.start + np.argmax(data.terms[data.levels.start : data.levels.stop], axis=0)
    mixture, of_level = data.terms[0] + data.terms[1] / 3, np.sqrt(code)
    for more in (mixture, of_level, mixture - of_level):
        terms = np.vstack([data.terms, more])
        whole, absorbed = Data(terms, data.target, data.weights, data.levels).both()
        assert absorbed.regression.absorbed is not None
        assert absorbed.certificate.passed
        assert len(absorbed.dependencies) == len(whole.dependencies) == 1
        np.testing.assert_allclose(absorbed.ols.coef, whole.ols.coef, rtol=1e-9, atol=1e-12)
        assert absorbed.ols_loss == pytest.approx(whole.ols_loss, rel=1e-12)
        assert absorbed.regression.identified == whole.regression.identified
        assert_same_inference(absorbed, whole, 1e-9)


def test_a_nudged_coefficient_is_refuted() -> None:
    data = some_data(5)
    _, absorbed = data.both()
    import dataclasses

    from gdpipe.numerics.descent.agreement import Agreement
    from gdpipe.numerics.inference.certificate import certify

    held = Agreement.of(absorbed.regression.whole, absorbed.baseline.coef_scaled, absorbed.terms.std_error_scaled)
    names = ["intercept", *absorbed.included]
    for place in (0, data.levels[3]):
        coef = absorbed.solution.coef_scaled.copy()
        coef[place] += 1e-4
        solution = dataclasses.replace(absorbed.solution, coef_scaled=coef)
        found = certify(absorbed.regression.whole, solution, absorbed.baseline.coef_scaled, held, names, np.nan, 0.0)
        assert not found.passed
        assert "coef_gap" in found.reason


def test_a_descent_that_is_cut_short_does_not_pass() -> None:
    _, absorbed = some_data(6).both(max_iterations=3)
    assert absorbed.solution.status is Status.MAX_ITERATIONS
    assert not absorbed.certificate.passed
    assert absorbed.solution.distance_bound > 1e-8


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_whole_matrix(weighted: bool) -> None:
    data = some_data(7, weighted=weighted)
    whole = data.sums()
    block = with_block(whole, data.levels)
    for centred in (True, False):
        ours, theirs = (CrossProducts.of(sums, centred=centred) for sums in (block, whole))
        assert isinstance(ours, BlockProducts)
        assert ours.means() == theirs.means()
        assert ours.variances() == theirs.variances()
        line = [Fraction(j * j - 7, 8) for j in range(len(whole.sums))]
        assert ours.covariances_with(line) == theirs.covariances_with(line)
        some = [0, 3, 6, 7, 20, len(whole.sums) - 1]
        assert ours.select(some).covariances_with(line[:6]) == theirs.select(some).covariances_with(line[:6])


def test_sums_add_up_on_any_grid() -> None:
    parts = [some_data(seed) for seed in (8, 9)]
    coarse = parts[1].target.max() * 2e6
    largest = np.array([*np.abs(parts[1].terms).max(axis=1), coarse])
    a = parts[0].sums()
    b = moments(np.vstack([parts[1].terms, parts[1].target]), None, largest)
    assert (a.exponents != b.exponents).any()
    levels = parts[0].levels
    total = with_block(a, levels) + with_block(b, levels)
    assert total == with_block(a + b, levels)
    assert total - with_block(b, levels) == with_block(a, levels)
    assert total != with_block(a, levels)


def test_all_terms_may_be_in_the_block() -> None:
    rng = np.random.default_rng(10)
    code = rng.integers(0, 6, 300)
    target = code**2 + rng.normal(size=300)
    whole, absorbed = Data(one_hot(code, range(1, 6)), target, None, range(5)).both()
    assert absorbed.ols.coef.tolist() == whole.ols.coef.tolist()
    assert absorbed.solution.iterations == 0
    assert absorbed.certificate.passed
    assert_same_inference(absorbed, whole)


def test_scales_are_found_before_anything_else() -> None:
    data = some_data(11)
    settings = TrainingConfig(source="X", target="y")
    design = Design.of_numbers([f"x{j}" for j in range(len(data.terms))])
    posed = standardize(with_block(data.sums(), data.levels), design, settings)
    assert posed.cross.variances() == CrossProducts.of(data.sums(), centred=True).variances()
    assert posed.problem.n_features == len(data.terms) - len(data.levels)


def nearly_dependent(gap: float) -> Data:
    """A number that differs from another one by so many standard deviations."""
    data = some_data(12)
    more = data.terms[0] + gap * data.terms[0].std() * np.random.default_rng(16).normal(size=len(data.target))
    return Data(np.vstack([data.terms, more]), data.target, None, data.levels)


# condition numbers of 1e13 and 1e19 among the terms outside the block
@pytest.mark.parametrize(("gap", "rtol"), [(1e-6, 1e-9), (1e-9, 1e-6)])
def test_standard_errors_have_digits_where_terms_are_nearly_dependent(gap: float, rtol: float) -> None:
    whole, absorbed = nearly_dependent(gap).both(max_iterations=10)
    assert not absorbed.dependencies
    for name in ("std_error_scaled", "vif"):
        ours, theirs = getattr(absorbed.terms, name), getattr(whole.terms, name)
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dependent", [True, False])
def test_a_perfect_fit_passes_whose_levels_have_no_effect(fit_intercept: bool, dependent: bool) -> None:
    rng = np.random.default_rng(13)
    code = rng.integers(0, LEVELS, 600)
    x = np.round(rng.normal(code / 7, 1) * 8) / 8
    regions = one_hot(code // 5, range(1, LEVELS // 5)) if dependent else np.zeros((0, 600))
    terms = np.vstack([x, one_hot(code, range(1, LEVELS)), regions])
    for target in (2 * x + (code == 3), x / 3 + (code == 3), 1.0 * (code == 3), np.sin(code)):
        whole, absorbed = Data(terms, target, None, range(1, LEVELS)).both(fit_intercept=fit_intercept)
        assert absorbed.certificate.passed, absorbed.certificate.reason
        assert absorbed.ols.intercept == pytest.approx(whole.ols.intercept, rel=1e-15, abs=0)
        assert absorbed.ols_loss < 1e-30


def test_the_least_eigenvalue_is_that_of_the_scaling() -> None:
    # two numbers that hardly vary within levels, and nearly in one direction; and a combination of them to rounding
    data = some_data(14)
    code = data.levels.start + np.argmax(data.terms[data.levels.start : data.levels.stop], axis=0)
    rng = np.random.default_rng(15)
    a, b = rng.integers(-50, 50, (2, len(code))) / 2.0**10
    x, z = code + a, code**2 + a + b / 2.0**14
    terms = np.vstack([x, z, data.terms[data.levels.start : data.levels.stop], x / 3 + z / 7])
    _, absorbed = Data(terms, data.target, None, range(2, 2 + len(data.levels))).both(max_iterations=10)
    assert len(absorbed.dependencies) == 1
    problem = absorbed.regression.problem
    assert problem.n_features == 2
    assert isinstance(problem.exact_hessian, np.ndarray)
    p, q, _, r = (Fraction(int(v), 1 << 256) for v in problem.exact_hessian.ravel())
    assert problem.strong_convexity == pytest.approx(float((p * r - q * q) / (p + r)), rel=1e-3)


@pytest.mark.parametrize("absorbed_feature", [2, 3])
def test_joint_tests_of_terms_that_nearly_give_the_intercept_are_those_of_determinants(absorbed_feature: int) -> None:
    # a number with a large mean by level: the terms add up to it, and their correlations have a condition of 1e12
    rng = np.random.default_rng(17)
    code, shop = rng.integers(0, 5, 300), rng.integers(0, 8, 300)
    number = 1e6 + np.round(rng.normal(size=300) * 64) / 64
    others = rng.normal(size=(2, 300))
    target = others[0] + code + shop + rng.normal(size=300)
    x, c, s = (
        Number("x", Input("x")),
        Category("c", Input("c", levels="text")),
        Category("s", Input("s", levels="text")),
    )
    design = Design((*(Feature((Number(name, Input(name)),)) for name in "ab"), Feature((x, c)), Feature((s,))))
    labels: dict[tuple[int, ...], list[tuple[str, ...]]] = {
        (0,): [(f"c{k}",) for k in range(5)],
        (1,): [(f"s{k}",) for k in range(8)],
    }
    design = design.with_levels(labels)
    terms = np.vstack([others, number * one_hot(code, range(5)), one_hot(shop, range(1, 8))])
    block = (range(2, 7), range(7, 14))[absorbed_feature - 2]
    data, settings = Data(terms, target, None, block), TrainingConfig(source="X", target="y")
    found, sums = fit(with_block(data.sums(), block), design, settings), data.sums()
    centred = sums.weight * sums.products - np.outer(sums.sums, sums.sums)

    def determinant(places: list[int]) -> int:
        return int(integer_matrix(centred[np.ix_(places, places)]).det())

    for feature, places in ((2, [*range(2, 7)]), (3, [*range(7, 14)])):
        rest = [j for j in range(14) if j not in places]
        gvif = Fraction(determinant(places) * determinant(rest), determinant([*range(14)]))
        assert found.features.gvif[feature] == pytest.approx(float(gvif), rel=1e-8)
        alone = fit(sums.select([*rest, 14]), Design.of_numbers([f"x{j}" for j in rest]), settings)
        rise = (alone.ols_loss - found.ols_loss) / len(places)
        assert found.features.f_statistic[feature] == pytest.approx(rise / (found.ols_loss / (300 - 15)), rel=1e-8)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_number_alone_may_be_given_by_the_levels_to_rounding(fit_intercept: bool) -> None:
    rng = np.random.default_rng(18)
    code = rng.integers(0, 12, 400)
    number = np.sqrt(code + 2.0)
    number = np.where(rng.random(400) < 0.5, number, np.nextafter(number, 9))
    terms = np.vstack([number, one_hot(code, range(1, 12))])
    target = code + rng.normal(size=400)
    whole, absorbed = Data(terms, target, None, range(1, 12)).both(fit_intercept=fit_intercept)
    assert len(absorbed.regression.independent) == len(whole.regression.independent) == 11 + (not fit_intercept)
    assert len(absorbed.dependencies) == int(fit_intercept)
    assert absorbed.certificate.passed


def test_the_loss_is_that_of_coefficients_in_float64() -> None:
    # a number that hardly varies within levels has a coefficient of 1e12, and the levels make up for it
    rng = np.random.default_rng(19)
    code, noise = rng.integers(0, 12, 60), rng.integers(-8, 9, 60) / 8.0
    terms = np.vstack([code + noise * 2.0**-40, one_hot(code, range(1, 12))])
    _, absorbed = Data(terms, noise + code, None, range(1, 12)).both()
    model = absorbed.model
    line = absorbed.regression.whole.scaling.to_original(absorbed.solution.coef_scaled.tolist())
    found = mean_squared_error(absorbed.regression.cross, *line)
    assert model.coef[0] > 1e11
    assert absorbed.loss == pytest.approx(float(found), rel=1e-6)
