"""Decide whether a run may be published; if not, its evidence goes to `rejected/`."""

from gdpipe.config import TrainingConfig
from gdpipe.errors import ConvergenceError, QualityError
from gdpipe.fit import Fit
from gdpipe.printable import logger_named
from gdpipe.stages.evidence import Evidence
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.manifest import manifest
from gdpipe.store import catalog
from gdpipe.store.runs import Staging

logger = logger_named(__name__)


def decide(config: TrainingConfig, ingested: Ingested, fit: Fit, evidence: Evidence, staging: Staging) -> None:
    """Check that the fit has passed the certificate, and the gate where there is one.

    Raises:
        ConvergenceError: The fit did not pass validation; the evidence is in `rejected/`, without predictions.
        QualityError: The fit did not pass the gate; the evidence is in `rejected/`, without predictions.
        PublishError: The evidence cannot be moved to `rejected/`.
    """
    certificate, gate = fit.certificate, evidence.comparison.gate
    if certificate.passed and (gate is None or gate.passed):
        what = "the optimum" if fit.regression.penalty else "OLS"
        logger.info("validated: %s (gap to %s %.3g)", certificate.reason, what, certificate.coef_gap)
        return
    staging.drop(catalog.PREDICTIONS)
    about = manifest(
        config, ingested, fit, evidence.held_out, evidence.comparison, evidence.files, evidence.alternatives
    )
    rejected = str(staging.reject(about))
    if not certificate.passed:
        raise ConvergenceError(f"the run did not pass validation: {certificate.reason}", evidence=rejected)
    assert gate is not None
    raise QualityError(f"the run did not pass the gate: {gate.reason}", evidence=rejected)
