"""Where runs are kept: in memory for tests, in a SQLite file, in PostgreSQL when one machine is no longer enough.

`RunPage` is what each of them gives of its runs; `stageflow.testing.check_run_store` holds a store of your own to what
a runner counts on.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from stageflow.stores.page import RunArchive, RunPage

if TYPE_CHECKING:
    from stageflow.stores.memory import MemoryRunStore
    from stageflow.stores.postgres import PostgresRunStore
    from stageflow.stores.sqlite import SqliteRunStore
else:
    # A store is imported when first asked for: one needs an extra, and none is to load another's database.
    _LATE = {
        "MemoryRunStore": "stageflow.stores.memory",
        "PostgresRunStore": "stageflow.stores.postgres",
        "SqliteRunStore": "stageflow.stores.sqlite",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(name)
        try:
            return getattr(import_module(_LATE[name]), name)
        except ModuleNotFoundError as absent:
            if absent.name is None or not absent.name.startswith("psycopg"):
                raise
            text = f"{name} needs psycopg and its pool ({absent}): pip install 'stageflow[postgres]'"
            raise ImportError(text, name=absent.name) from absent

    def __dir__() -> list[str]:
        return [*globals(), *_LATE]


__all__ = ["MemoryRunStore", "PostgresRunStore", "RunArchive", "RunPage", "SqliteRunStore"]
