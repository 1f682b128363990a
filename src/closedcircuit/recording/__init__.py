# SPDX-License-Identifier: Apache-2.0
"""From received samples to sealed segments, the account of every second, and what becomes of old footage."""
