"""Names that other programs give to settings, and what there is here in their place."""

from collections.abc import Mapping
from string import Formatter

# the answers to a name: the first of which all the settings in braces are known is given
_OF_ROWS_HELD_OUT = (
    "{holdout} names the rows that the fit is not to see, {folds} the parts for the cross-validated error",
    "{folds} is the number of parts for the cross-validated error",
    "fit some of the rows with {filters}, and score the others with gdpipe predict, which says how far off it is",
)
_OF_PENALTIES = (
    "{penalty} is ridge, lasso or elastic_net, {alpha} how strong it is, {l1_ratio} the lasso's part of it",
    "there is no penalty: the fit is that of least squares",
)
_OF_SCALES = ("every feature is standardized for the descent, and coefficients come in the features' own units, too",)
_OF_CHANCE = ("nothing in a run is random: the same rows give the same bits",)
_OF_STEPS = ("{max_iterations} is the most steps of the descent, each of them over all rows",)
_ANSWERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("test_size train_size test_split validation_split validation_fraction split cv k_fold kfold", _OF_ROWS_HELD_OUT),
    ("alpha alphas ridge lasso elastic_net l1 l2 lambda reg regularization penalty weight_decay", _OF_PENALTIES),
    ("normalize normalise standardize standardise scale scaler scaling", _OF_SCALES),
    ("seed random_state random_seed shuffle", _OF_CHANCE),
    ("epochs epoch n_epochs max_iter n_iter num_iterations iterations iters steps max_steps", _OF_STEPS),
    ("lr eta eta0 step_size learn_rate", ("{learning_rate} is the step size of the descent; auto finds the best",)),
    ("momentum optimizer solver algorithm", ("{method} is gd, accelerated, or auto",)),
    ("batch batch_size chunksize", ("a step is over all rows, by their exact sums; {memory} bounds what is held",)),
    ("tol eps epsilon precision", ("{tolerance} is the largest gap to the exact answer that is accepted",)),
    ("intercept no_intercept bias constant", ("{fit_intercept} says whether there is an intercept",)),
    ("y label labels response outcome dependent", ("{target} is the column to predict",)),
    ("x columns cols predictors regressors inputs independent", ("{features} are the columns to predict from",)),
    ("formula", ("{target} is its left side, {features} the terms of its right side, such as C(hour),log(x),a:b",)),
    ("drop ignore skip without", ("{exclude} leaves columns out of the features",)),
    (
        "categorical categories dummies one_hot",
        ("text is a category anyway; {features} makes one of numbers by C(hour)",),
    ),
    ("weights sample_weight", ("{weight} is the column of weights",)),
    ("where query condition filter subset", ("{filters} chooses the rows",)),
    ("out out_dir outdir output_dir dest destination save", ("{output} is the folder for everything that is written",)),
    ("input data path file files parquet", ("{source} is the Parquet to read",)),
    ("n_jobs jobs threads cores num_workers processes parallel", ("{workers} is the number of processes that read",)),
    ("dropna drop_na na nulls missing impute fillna", ("{null_policy} says what a null does",)),
    ("overwrite replace", ("{force} trains although nothing has changed; each run is kept under a name of its own",)),
    ("name run_name experiment", ("{run_id} is the run's name",)),
    ("id ids id_columns index", ("{key} names columns that are copied to the predictions",)),
    ("model model_path", ("{run} is the output of the training",)),
)


def answer(name: str, known: Mapping[str, str]) -> str | None:
    """What there is in place of a setting of another program; None where nothing is known of it.

    Args:
        name: The setting, such as `test_size` or `test-size`.
        known: The settings that there are, each with its spelling where the answer is read (`--max-iterations`).
    """
    name = name.lstrip("-").replace("-", "_")
    for names, answers in _ANSWERS:
        if name.lower() in names.split():
            for each in answers:
                if {field for _, field, _, _ in Formatter().parse(each) if field} <= known.keys():
                    return each.format_map(known)
    return None
