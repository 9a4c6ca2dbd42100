# SPDX-License-Identifier: MIT
"""Blobs in S3 or a store that speaks its protocol: `s3://bucket/prefix?region=…&endpoint=…`.

Credentials are found as the tools of AWS find them: environment, container, web identity, instance metadata.
"""

from __future__ import annotations

from typing import Any

from obstore.store import S3Store

from . import object_store


class FileBackend(object_store.FileBackend):
    """Blobs below `//bucket/prefix`; the options `region`, `endpoint`, `redirect` and obstore's own."""

    client = S3Store

    def _connect(self, bucket: str, prefix: str, options: dict[str, str], settings: dict[str, Any]) -> Any:
        endpoint = options.pop("endpoint", "") or object_store.from_environment(
            "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"
        )
        region = options.pop("region", "") or object_store.from_environment(
            "AWS_REGION", "AWS_DEFAULT_REGION"
        )
        if endpoint:  # buckets of other stores have no host names of their own
            options = {"endpoint": endpoint, "virtual_hosted_style_request": "false", **options}
            is_near = object_store.is_loopback(endpoint)
            if endpoint.startswith("http:") and not is_near and "allow_http" not in options:
                raise ValueError(
                    "files would go over plain HTTP: endpoint=https://…, or allow_http=true beside it"
                )
            settings["client_options"]["allow_http"] = is_near
        options = {"region": region or "us-east-1", **options}
        return super()._connect(bucket, prefix, options, settings)
