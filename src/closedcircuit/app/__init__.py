# SPDX-License-Identifier: Apache-2.0
"""Wiring: the site's settings, the roles (processes) and the supervisor that starts, watches and stops them.

The supervisor names roles by text (`roles.ROLES`), because the web role lives in `api`, one floor up: a process is
started, never imported.
"""

from closedcircuit.app.config import DiskSetting, Settings, load_settings
from closedcircuit.app.folder import DataFolder
from closedcircuit.app.roles import ROLES, play_role

__all__ = ["ROLES", "DataFolder", "DiskSetting", "Settings", "load_settings", "play_role"]
