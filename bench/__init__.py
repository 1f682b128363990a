# SPDX-License-Identifier: Apache-2.0
"""Performance, measured side by side in one run: CPU seconds and ratios, never a wall-clock boast."""
