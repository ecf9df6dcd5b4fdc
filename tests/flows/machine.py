"""A Prefect server, its workers and its commands: real processes on 127.0.0.1, in a folder of their own."""

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import conftest, waiting

REPO = Path(__file__).parents[2]
CLONED = ("flows", "gdpipe", "data", "prefect.yaml", "prefect.toml", "automation.yaml")
FEATURES = ",".join(conftest.FEATURES)
FLIGHTS = ("source=data/flights", "target=arr_delay", f"features={FEATURES}")
PREFECT = (sys.executable, "-m", "prefect")
START_SECONDS = 240.0

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # tests that a shell runs in the background ignore Ctrl-C, and so would all that they start
    signal.signal(signal.SIGINT, signal.default_int_handler)


def slow(rate: float) -> tuple[str, ...]:
    """Settings of a descent that takes its time: about 10 s at a rate of 0.002 on a quiet machine."""
    return ("method=gd", f"learning_rate={rate}", "max_iterations=900000000")


until = functools.partial(waiting.until, seconds=START_SECONDS, every=0.2)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@dataclass
class Machine:
    """A clone of the project, a Prefect folder, and the processes that were started there."""

    folder: Path
    port: int = field(default_factory=free_port)
    started: list[subprocess.Popen[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clone.mkdir(parents=True)
        for name in CLONED:
            if name in {"gdpipe", "data"}:
                (self.clone / name).symlink_to(REPO / name)
            elif (REPO / name).is_dir():
                shutil.copytree(REPO / name, self.clone / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(REPO / name, self.clone / name)

    @property
    def clone(self) -> Path:
        return self.folder / "somewhere" / "clone"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return kept | {"PREFECT_HOME": str(self.folder / "home"), "PYTHONPATH": str(self.clone), "NO_COLOR": "1"} | more

    def api(self) -> dict[str, str]:
        return {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"}

    def start(self, *command: str, log: str, **more: str) -> subprocess.Popen[Any]:
        """A process in a session of its own; what it prints goes to a file beside the clone."""
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.clone,
                env=self.environment(**more),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def server(self) -> subprocess.Popen[Any]:
        process = self.start(*PREFECT, "server", "start", "--port", str(self.port), log="server.log")
        until(self.answers)
        return process

    def worker(self, log: str = "worker.log") -> subprocess.Popen[Any]:
        return self.start(*PREFECT, "worker", "start", "--pool", "gdpipe", log=log, **self.api())

    def script(self, *parameters: str, log: str = "script.log", **more: str) -> subprocess.Popen[Any]:
        command = (sys.executable, "-m", "flows.train", *FLIGHTS, *parameters)
        return self.start(*command, log=log, **(more or self.api()))

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of Prefect's, to its end."""
        return self.run(*PREFECT, *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.clone,
            env=self.environment(**self.api()),
            check=False,
            timeout=500,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def deploy(self) -> None:
        for pool, kind in (("gdpipe", "process"), ("gdpipe-docker", "docker")):
            assert self.prefect("work-pool", "create", pool, "--type", kind).returncode == 0
        done = self.prefect("--no-prompt", "deploy", "--all")
        assert done.returncode == 0, done.stdout

    def trigger(self, deployment: str, *parameters: str) -> str:
        """Start a run and do not wait; its id."""
        done = self.prefect("deployment", "run", deployment, *(f"-p{p}" for p in parameters))
        assert done.returncode == 0, done.stdout
        return next(line.split()[-1] for line in done.stdout.splitlines() if "UUID:" in line)

    def answers(self) -> bool:
        try:
            self.get("health")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/{path}", timeout=10) as answer:
            return json.load(answer)

    def find(self, what: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{what}/filter",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # our own server
            return json.load(answer)

    def state(self, run: str) -> str:
        return str(self.get(f"flow_runs/{run}")["state_name"])

    def says(self, log: str, text: str) -> bool:
        path = self.folder / log
        return path.exists() and text in path.read_text(encoding="utf-8", errors="replace")

    def alive(self) -> list[int]:
        """Every process that knows this folder: whoever was started here, and their children's children."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    known = str(self.folder).encode() in (entry / "environ").read_bytes()
                    dead = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                except OSError:
                    continue
                if known and not dead:
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        """End what was started here, by its id."""
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)


def kill_with_children(pid: int) -> None:
    """SIGKILL to a process and its children at once, as when the machine loses them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (*map(int, children), pid):
        os.kill(one, signal.SIGKILL)
