"""The published bytes of known data stay what they were when their digests were kept, at commit 6b10482.

Those of folds, and of errors on unseen rows, are of the first runs that have them. Probabilities and intervals keep 12
digits of their values of then.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.published_bytes import PROBABILITIES, REPO, made_by

KEPT = json.loads((Path(__file__).parent / "fixtures" / "published_bytes.json").read_text())


@pytest.mark.skipif(made_by() != KEPT["made_by"], reason="another NumPy or PyArrow writes other bytes")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="OpenBLAS has the kernel of the digests for x86-64 only")
def test_what_is_published_is_byte_for_byte_that_of_before_and_probabilities_have_twelve_of_its_digits(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.published_bytes", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout[done.stdout.index("{\n") :])["digests"]
    kept = KEPT["digests"]
    assert {name: sorted(files) for name, files in found.items()} == {n: sorted(files) for n, files in kept.items()}
    different = [
        f"{name}: {path}: {part}"
        for name, files in kept.items()
        for path, parts in files.items()
        for part, before in parts.items()
        if not _same(part, found[name][path].get(part), before)
    ]
    assert not different


def _same(part: str, found: Any, before: Any) -> bool:
    if part in PROBABILITIES:
        return bool(found == pytest.approx(before, rel=1e-12, abs=1e-300, nan_ok=True))
    return bool(found == before)
