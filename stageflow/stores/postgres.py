"""Runs kept in PostgreSQL: for processes on more than one machine. Needs the extra ``postgres``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast, final

from psycopg import AsyncConnection, Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout
from typing_extensions import override

from stageflow.stores._dialect import POSTGRES
from stageflow.stores._keeping import Keeping
from stageflow.stores._operations import Operation
from stageflow.stores._rows import Row
from stageflow.stores._schema import MIGRATIONS, migrated, version
from stageflow.stores._server_faults import closed, fault, other_loop, unreachable

_T = TypeVar("_T")
_Connection: TypeAlias = AsyncConnection[Row]
_Pool: TypeAlias = AsyncConnectionPool[_Connection]

# What a session promises is set on each: a commit is on the server's disk, and nobody waits for a lock for ever.
_SESSION = b"""
    SELECT set_config('search_path', %(schema)s, false), set_config('lock_timeout', %(timeout)s, false),
        CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END"""
_ONE_AT_A_TIME = b"SELECT pg_advisory_xact_lock(hashtext('stageflow'), hashtext(%(schema)s))"


@final
class PostgresRunStore(Keeping):
    """Keeps runs and their stages in PostgreSQL, so that another machine can go on with a run.

    What it acknowledges is on the server's disk (``synchronous_commit``). Leases are measured on the server's clock.
    A connection that the server dropped is made anew for the next request; one that is lost in the middle of a
    request is a `RunStoreError`, since nobody knows whether that request was kept. Used from one event loop, and
    not through a pooler that gives a session to one transaction after another, since each is set up once.

    It connects, and makes its tables where there are none, when it is first asked.

    Args:
        dsn: where the server is, as a URL or ``host=... dbname=...``.
        schema: the schema of its tables; it is made where there is none.
        connections: how many it has at most.
        timeout: seconds to wait for a connection, for the network, and for a lock.
    """

    __slots__ = ("_closed", "_connections", "_dsn", "_loop", "_opening", "_pool", "_schema", "_timeout", "_where")

    def __init__(self, dsn: str, *, schema: str = "stageflow", connections: int = 10, timeout: float = 10.0) -> None:
        given = conninfo_to_dict(dsn)
        patience = {"connect_timeout": max(2, int(timeout)), "tcp_user_timeout": int(timeout * 1000)}
        self._dsn = make_conninfo(dsn, **{name: value for name, value in patience.items() if name not in given})
        self._where = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        self._schema = schema
        self._connections = connections
        self._timeout = timeout
        self._pool: _Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @override
    async def _kept(self, make: Callable[[], Operation[_T]], /, *, writes: bool, whole: bool = False) -> _T:
        pool = await self._opened()
        try:
            async with pool.connection() as connection:
                if not whole:
                    return await _driven(connection, make())
                async with connection.transaction():
                    return await _driven(connection, make())
        except PoolClosed as error:
            raise closed(self._where) from error
        except PoolTimeout as error:
            raise unreachable(self._where, self._timeout, error) from error
        except Error as error:
            raise fault(self._where, error) from error

    async def _opened(self) -> _Pool:
        if self._closed:
            raise closed(self._where)
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise other_loop(self._where)
        async with self._opening:
            if self._pool is None:
                self._loop = asyncio.get_running_loop()
                await self._migrate()
                self._pool = await self._filled()
        return self._pool

    async def _migrate(self) -> None:
        """On a connection of its own: a server that is not there says why, where a pool would say that it waited."""
        try:
            connection: _Connection = await AsyncConnection.connect(self._dsn, autocommit=True)
            async with connection:
                await self._configure(connection)
                if await self._is_of_today(connection):
                    return
                async with connection.transaction():
                    await connection.execute(_ONE_AT_A_TIME, {"schema": self._schema})
                    await connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(self._schema)))
                    await _driven(connection, migrated(self._where))
        except Error as error:
            raise fault(self._where, error) from error

    async def _is_of_today(self, connection: _Connection) -> bool:
        """Whether there is nothing to migrate, so that a role which may make no table can use those there are."""
        cursor = await connection.execute(b"SELECT to_regclass('stageflow_schema') IS NOT NULL")
        if await cursor.fetchone() == (True,):
            return await _driven(connection, version(self._where)) == len(MIGRATIONS)
        return False

    async def _filled(self) -> _Pool:
        pool: _Pool = AsyncConnectionPool(
            self._dsn,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=self._connections,
            timeout=self._timeout,
            configure=self._configure,
            check=AsyncConnectionPool.check_connection,
            open=False,
            name=f"stageflow {self._where}",
        )
        await pool.open()
        return pool

    async def _configure(self, connection: _Connection) -> None:
        quoted = self._schema.replace('"', '""')
        session = {"schema": f'"{quoted}"', "timeout": f"{int(self._timeout * 1000)}ms"}
        await connection.execute(_SESSION, session)

    async def aclose(self) -> None:
        """Closes its connections; a second time does nothing."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @override
    def __repr__(self) -> str:
        return f"PostgresRunStore({self._where!r})"


async def _driven(connection: _Connection, operation: Operation[_T]) -> _T:
    """What an operation gives, on this connection."""
    try:
        statement, values = next(operation)
        while True:
            cursor = await connection.execute(POSTGRES.spoken(statement).encode(), values)
            rows = [] if cursor.description is None else await cursor.fetchall()
            statement, values = operation.send(rows)
    except StopIteration as ended:
        return cast("_T", ended.value)
