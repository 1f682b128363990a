# SPDX-License-Identifier: Apache-2.0
"""HTTP and WebSocket, the built UI, problems. docs/design/http.md is the contract."""

from closedcircuit.api.application import create_app, openapi

__all__ = ["create_app", "openapi"]
