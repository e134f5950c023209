"""Stores are held to their ports in the same world as by the integration tests."""

from __future__ import annotations

from integration.conftest import world, worlds_database

__all__ = ["world", "worlds_database"]
