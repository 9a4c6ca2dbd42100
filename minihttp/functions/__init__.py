# SPDX-License-Identifier: MIT
"""Queries, mutations and actions: how they are named, what their contexts hold, and who opens their
transaction.
"""
