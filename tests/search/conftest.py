"""Load Optuna's migration scripts once; it would load them three times per storage."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory
from optuna.storages._rdb.storage import _VersionManager


@pytest.fixture(scope="session", autouse=True)
def _migrations_loaded_once() -> None:
    loaded: list[ScriptDirectory] = []

    def scripts(manager: _VersionManager) -> ScriptDirectory:
        config = manager._create_alembic_config()  # may refuse the URL of the storage
        if not loaded:
            loaded.append(ScriptDirectory.from_config(config))
        return loaded[0]

    setattr(_VersionManager, "_create_alembic_script", scripts)  # noqa: B010
