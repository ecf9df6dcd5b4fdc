"""An S3 server on loopback (moto's), what it was asked, and a line to it that can be cut."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # nobody is asked for credentials
}
# moto looks for its services on the disk at each request, twice: a fifth of what a request takes
MOTO = """
from moto import backends, server
services = list(backends.list_of_moto_modules())
backends.list_of_moto_modules = lambda: services
server.main()
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        port: On 127.0.0.1.
        log: The file that its requests are written to, one line each.
    """

    port: int
    log: Path

    def uri(self, place: str, port: int | None = None, user: str = "") -> str:
        """A place on this server, as PyArrow takes it."""
        return f"s3://{user}{place}?scheme=http&endpoint_override=127.0.0.1:{port or self.port}"

    @property
    def filesystem(self) -> pafs.S3FileSystem:
        return pafs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{self.port}", scheme="http", allow_bucket_creation=True, region="us-east-1"
        )

    def snapshot(self, place: str) -> dict[str, bytes]:
        """Every object below a prefix, byte for byte."""
        found = self.filesystem.get_file_info(pafs.FileSelector(place, recursive=True, allow_not_found=True))
        contents = {}
        for info in found:
            if info.is_file:
                with self.filesystem.open_input_file(info.path) as handle:
                    contents[info.path[len(place) + 1 :]] = handle.read()
        return contents

    def requests(self) -> list[str]:
        """Method and path of all requests so far, such as 'PUT /bucket/key?x=1'."""
        return re.findall(r'"([A-Z]+ \S+) HTTP', self.log.read_text())


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """Start a server, and stop it."""
    log = folder / "requests.log"
    command = [sys.executable, "-c", MOTO, "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=handle, env={**os.environ, **ENVIRONMENT})
    try:
        while not (started := re.search(r"Running on http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield Server(int(started[1]), log)
    finally:
        process.kill()
        process.wait()


class Line:
    """A TCP proxy on 127.0.0.1 that lets go of connections on which it sees what it was told to.

    Attributes:
        port: Where it listens.
        cut: What a request must hold to be cut off before it reaches the server; None cuts nothing.
        cuts: How many requests may still be cut off.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cut: bytes | None = None
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, requests: bool) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                if requests and self.cut is not None and self.cuts and self.cut in data:
                    self.cuts -= 1
                    break
                target.sendall(data)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)
