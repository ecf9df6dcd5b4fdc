"""The Dockerfile, as far as it can be tested without building it; docs/prefect.md says how it was built."""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types

ROOT = Path(__file__).parent.parent
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
COPIED = [
    path
    for name, rest in INSTRUCTIONS
    if name == "COPY" and not rest.startswith("--from")
    for path in shlex.split(rest)[:-1]
]
USER = int(
    next(re.findall(r"--uid (\d+)", rest)[0] for name, rest in INSTRUCTIONS if name == "RUN" and "--uid" in rest)
)
HOME = next(re.findall(r"PREFECT_HOME=(\S+)", rest)[0] for name, rest in INSTRUCTIONS if "PREFECT_HOME=" in rest)


@pytest.mark.parametrize("path", COPIED)
def test_every_path_it_copies_exists_and_is_let_into_the_context(path: str) -> None:
    assert (ROOT / path).exists()
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert f"!{path}" in ignore


def test_it_ends_as_a_user_of_its_own_on_a_base_that_can_be_chosen() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    assert names.count("FROM") == 2
    assert all(rest.startswith("${BASE}") for name, rest in INSTRUCTIONS if name == "FROM")
    last_user = [rest for name, rest in INSTRUCTIONS if name == "USER"][-1]
    assert last_user != "root"
    assert names.index("USER") > names.index("RUN")


def test_the_package_builds_and_installs_from_what_is_copied(tmp_path: Path) -> None:
    """The build stage's last step, on the very files that the context has; what the locks bring is here already."""
    context, target = tmp_path / "context", tmp_path / "site"
    context.mkdir()
    for path in COPIED:
        subprocess.run(["cp", "-r", str(ROOT / path), str(context / path)], check=True)
    install = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and rest.endswith(" ."))
    arguments = shlex.split(re.sub(r"^pip ", "", install))[:-1]
    pip = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), "."], cwd=context, check=True)
    assert (target / "gdpipe" / "py.typed").is_file()
    assert not (target / "flows").exists()


def test_the_commands_it_is_for_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gdpipe.cli"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "train" in shown
    flows = "import flows.train, flows.score"
    subprocess.run([sys.executable, "-c", flows], cwd=ROOT, check=True, env={"HOME": str(tmp_path)})


def test_an_init_hands_signals_on_and_every_command_is_in_exec_form() -> None:
    """A shell in between, or a process number 1 of one's own, would keep SIGTERM from the program."""
    said = {name: rest for name, rest in INSTRUCTIONS if name in {"ENTRYPOINT", "CMD"}}
    assert json.loads(said["ENTRYPOINT"]) == ["tini", "--"]
    assert json.loads(said["CMD"]) == ["gdpipe", "--help"]
    assert any(name == "RUN" and " tini" in rest for name, rest in INSTRUCTIONS)


@pytest.fixture
def app() -> Iterator[Path]:
    """/app as the image has it, and a home: the folders that its RUN makes belong to its user, all else to root."""
    root = Path(tempfile.mkdtemp(prefix="gdpipe-image-"))
    root.chmod(0o755)  # pytest's own folders let nobody else in
    (root / "app").mkdir()
    for path in ("flows", "prefect.toml", "prefect.yaml", "gdpipe"):
        subprocess.run(["cp", "-r", str(ROOT / path), str(root / "app" / path)], check=True)
    subprocess.run(["cp", "-r", str(ROOT / "data" / "flights" / "month=01"), str(root / "data")], check=True)
    (root / HOME.lstrip("/")).parent.mkdir(parents=True)
    made = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and rest.startswith("install"))
    install = [str(root) + word if word.startswith("/") else word for word in shlex.split(made)]
    subprocess.run([str(USER) if word == "gdpipe" else word for word in install], check=True)
    yield root
    shutil.rmtree(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the image's user")
@pytest.mark.parametrize("user", [USER, 12345], ids=["its user", "docker run --user 12345"])
@pytest.mark.parametrize(
    "command",
    [
        ("gdpipe.cli", "train", "../data", "--target", "arr_delay"),
        pytest.param(("flows.train", "source=../data", "target=arr_delay"), marks=pytest.mark.prefect_server),
    ],
)
def test_it_works_as_a_user_who_may_write_to_its_own_folders_only(
    app: Path, command: tuple[str, ...], user: int
) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(app / "home" / "gdpipe") if user == USER else "/",
        "PREFECT_HOME": str(app) + HOME,
        "PYTHONPATH": str(app / "app"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]

    def has_the_environment() -> bool:
        """Not where clone or interpreter lie in a folder that only root may enter."""
        asked = [*become, sys.executable, "-c", "import platform, pyarrow; print(platform.python_version())"]
        found = subprocess.run(asked, env=env, cwd="/", capture_output=True, text=True, check=False)
        return found.returncode == 0 and found.stdout.strip() == platform.python_version()

    if not has_the_environment():  # this user may read everything, then, and still write to its own folders only
        become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        if not has_the_environment():
            pytest.skip("only root may enter the environment's folder, and may not lend the right to read it")
    done = subprocess.run(
        [*become, sys.executable, "-m", *command], cwd=app / "app", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (app / "app" / "runs" / "latest.json").stat().st_uid == user
    mine = subprocess.run(
        ["find", str(app / "app"), "-not", "-uid", "0"], capture_output=True, text=True, check=True
    ).stdout
    assert {Path(line).relative_to(app / "app").parts[0] for line in mine.split()} == {"runs", "scores"}


def test_a_docker_worker_leaves_the_image_its_prefect_home() -> None:
    """A worker hands its own settings on, PREFECT_HOME among them, which need not exist in the image."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    docker = next(one for one in deployments if one["name"] == "docker")
    assert docker["work_pool"]["job_variables"]["env"]["PREFECT_HOME"] == HOME
