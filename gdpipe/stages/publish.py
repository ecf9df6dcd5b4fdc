"""Publish: make a validated run the one that readers see."""

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.printable import logger_named
from gdpipe.stages.evidence import Evidence
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.manifest import manifest
from gdpipe.stages.predict import Predicted
from gdpipe.store.place import Place
from gdpipe.store.runs import Staging

logger = logger_named(__name__)


def publish(
    config: TrainingConfig, ingested: Ingested, fit: Fit, predicted: Predicted, evidence: Evidence, staging: Staging
) -> Place:
    """Write the manifest, put the run in its place and, unless `latest` is false, switch `latest.json` to it.

    Returns:
        The published run's folder.

    Raises:
        PublishError: Something could not be written; the previous run is still the latest.
    """
    described = manifest(
        config, ingested, fit, evidence.held_out, evidence.comparison, (*evidence.files, *predicted.files)
    )
    folder = staging.publish(described, latest=config.latest)
    logger.info("published %s%s", folder, "" if config.latest else ", not as the latest")
    return folder
