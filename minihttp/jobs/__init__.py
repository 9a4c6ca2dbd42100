# SPDX-License-Identifier: MIT
"""Durable work: scheduled functions, crons, retries and the webhook inbox."""
