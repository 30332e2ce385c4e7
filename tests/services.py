"""Services that tests start for themselves: a PostgreSQL of their own, on a loopback port, in a folder that goes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

INSTALL = "Install it by .ci/services."


def _binaries() -> Path | None:
    """Where the server's programs are; Debian keeps them off the PATH, one folder per version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda found: int(found.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("pg_ctl")
    return None if found is None else Path(found).parent


def _owner() -> str | None:
    """The user to run the server as: it refuses root."""
    if os.getuid() != 0:
        return None
    users = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgresServer:
    """A server that a test may crash, and start again."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._owner = _owner()
        self._folder = Path(tempfile.mkdtemp(prefix="stageflow-postgres-"))
        self._port = _free_port()
        self.dsn = f"postgresql://stageflow@127.0.0.1:{self._port}/postgres"
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
        self._run("initdb", "-U", "stageflow", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D", self._data)

    @classmethod
    def installed(cls) -> PostgresServer | None:
        """A server that is not started yet; None where this machine has none."""
        binaries = _binaries()
        return None if binaries is None else cls(binaries)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        log = self._folder / "commands.log"
        command = [str(self._binaries / program), *arguments]
        with log.open("ab") as output:  # a file: pg_ctl start would leave a pipe open in the server
            ended = subprocess.run(
                command, stdout=output, stderr=output, user=self._owner, cwd=self._folder, timeout=120, check=False
            )
        assert ended.returncode == 0, f"{' '.join(command)}: {log.read_text(encoding='utf-8')[-2000:]}"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "-D", self._data, "-l", str(self._folder / "server.log"), "-o", options, "-w", "start")

    def crash(self) -> None:
        """Stops it at once, as a crash does: nothing is written any more, and it recovers at its next start."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self._folder)
