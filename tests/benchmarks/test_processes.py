"""gdpipe beside its peers, as whole processes: `make bench`, or with GDPIPE_BENCH_ROWS and GDPIPE_BENCH_RUNS."""

import pytest

from tests.benchmarks import processes

pytestmark = pytest.mark.benchmark


def test_whole_processes_side_by_side() -> None:
    settings = processes.settings()
    benchmark = processes.measure(settings.size, settings.runs, settings.peers, settings.workers)
    benchmark.write(processes.REPO / "bench")
    print(f"\n{benchmark.markdown()}")

    fitted, truth = benchmark.fitted, benchmark.truth
    assert fitted.estimate.keys() == truth.keys()
    far = {
        term: value for term, value in truth.items() if abs(fitted.estimate[term] - value) > 6 * fitted.std_error[term]
    }
    assert not far, f"more than 6 standard errors from the truth: {far}"
    failed = {run.process: run.note for run in benchmark.runs if run.note.startswith("failed")}
    assert not failed, f"peers failed: {failed}"
