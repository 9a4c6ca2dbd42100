# SPDX-License-Identifier: MIT
"""Snapshots, import, backup and restore: streams of documents and files, in memory that does not grow."""
