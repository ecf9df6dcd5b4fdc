"""`gdpipe` on a PATH, already imported: each call is a fork of one process, which saves most of a second a command."""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

# what stands on the PATH: hands its arguments, folder, environment and three streams over, and takes the exit code
SCRIPT = f"""#!{sys.executable} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.path.join(os.path.dirname(os.path.abspath(__file__)), "socket"))
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [request], [0, 1, 2])
    sys.exit(int(server.recv(16)))
"""


@contextlib.contextmanager
def gdpipe_in(folder: Path) -> Iterator[None]:
    """Put a `gdpipe` into a folder that is to be on a PATH; it works as long as the context lasts."""
    script = folder / "gdpipe"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        server.listen()
        process = os.fork()
        if not process:
            _serve(server)
        try:
            yield
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)


def _serve(server: socket.socket) -> None:
    from gdpipe.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while True:
        connection, _ = server.accept()
        if os.fork():
            connection.close()
            continue
        request, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
        arguments, folder, environment = json.loads(request)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = 1
        try:
            main(arguments, prog_name="gdpipe")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            sys.stdout.flush()
            connection.send(str(code).encode())
            os._exit(0)
