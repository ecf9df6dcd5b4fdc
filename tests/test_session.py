"""The session of tests itself."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import REPO


def test_a_session_that_a_test_ends_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "test_end.py").write_text(
        "import os\n\n\ndef test_fork():\n    child = os.fork()\n    if not child:\n        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n\n\ndef test_end():\n    os._exit(0)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert ended.returncode == 70, ended.stdout + ended.stderr
    assert "." in ended.stdout
