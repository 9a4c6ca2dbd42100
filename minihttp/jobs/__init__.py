# SPDX-License-Identifier: MIT
"""Durable work: scheduled functions, crons and retries."""
