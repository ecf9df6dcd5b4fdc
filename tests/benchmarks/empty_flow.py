"""A flow of nine tasks that do nothing, with the options of the training flow's: what Prefect itself costs."""

from prefect import flow

from flows.tasks import plain_task, retried_task
from flows.train import train  # what it imports is no difference between the two


def ingest() -> None: ...


def standardize() -> None: ...


def penalize() -> None: ...


def fit() -> None: ...


def predict() -> None: ...


def measure() -> None: ...


def evidence() -> None: ...


def decide() -> None: ...


def publish() -> None: ...


TASKS = [
    retried_task(ingest),
    plain_task(standardize),
    plain_task(penalize),
    plain_task(fit),
    retried_task(predict),
    plain_task(measure),
    retried_task(evidence),
    retried_task(decide),
    retried_task(publish),
]


@flow(name="empty", persist_result=False)
def empty() -> None:
    for task in TASKS:
        task()


if __name__ == "__main__":
    assert train.name == "train"
    empty()
