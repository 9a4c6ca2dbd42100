# SPDX-License-Identifier: MIT
"""HTTP as data: headers, requests, responses, forms, routes. Knows nothing of documents, files or jobs."""
