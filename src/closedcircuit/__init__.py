# SPDX-License-Identifier: Apache-2.0
"""Closed Circuit: a CCTV system whose claims can be checked."""
