# SPDX-License-Identifier: Apache-2.0
"""The only door to SQL: facts.db, its schema and its migrations."""

from closedcircuit.db.database import Database, Tx, Value
from closedcircuit.db.swap import Replacement

__all__ = ["Database", "Replacement", "Tx", "Value"]
