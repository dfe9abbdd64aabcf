"""S3 in memory: objects that are put whole, under conditions or without.

Source: Amazon S3 API Reference, and User Guide, "Conditional writes".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from botocore.response import StreamingBody

from tests.support.cloud.errors import NotEmulated, Refused, only

Params = dict[str, Any]

PAGE = 1000
"""Keys that are listed or deleted at once."""


class Stored(NamedTuple):
    """An object."""

    content: bytes
    metadata: Mapping[str, str]

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


class S3:
    """The service; `buckets` map keys to objects."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {}
        self._operations: dict[str, Callable[[Params], Params]] = {
            "CreateBucket": self._create,
            "PutObject": self._put,
            "GetObject": self._get,
            "ListObjectsV2": self._list,
            "DeleteObjects": self._delete,
        }

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation. Raises Refused, and NotEmulated for what it does not know."""
        if operation not in self._operations:
            raise NotEmulated(f"s3 {operation}")
        return self._operations[operation](params)

    def _objects(self, params: Params) -> dict[str, Stored]:
        if params["Bucket"] not in self.buckets:
            raise Refused("NoSuchBucket", "The specified bucket does not exist", 404)
        return self.buckets[params["Bucket"]]

    def _create(self, params: Params) -> Params:
        only(params, "Bucket")
        self.buckets[params["Bucket"]] = {}
        return {}

    def _put(self, params: Params) -> Params:
        only(params, "Bucket", "Key", "Body", "Metadata", "IfMatch", "IfNoneMatch")
        objects, key = self._objects(params), params["Key"]
        _check(params, objects.get(key))
        body = params["Body"]
        content = body if isinstance(body, bytes) else body.read()
        objects[key] = Stored(content, params.get("Metadata", {}))
        return {"ETag": objects[key].etag}

    def _get(self, params: Params) -> Params:
        only(params, "Bucket", "Key")
        stored = self._objects(params).get(params["Key"])
        if stored is None:
            raise _no_such_key()
        size = len(stored.content)
        return {
            "Body": StreamingBody(BytesIO(stored.content), size),
            "ContentLength": size,
            "ETag": stored.etag,
            "Metadata": dict(stored.metadata),
        }

    def _list(self, params: Params) -> Params:
        only(params, "Bucket", "Prefix", "Delimiter", "MaxKeys", "StartAfter", "ContinuationToken")
        objects, prefix = self._objects(params), params.get("Prefix", "")
        after: str = params.get("ContinuationToken") or params.get("StartAfter", "")
        delimiter, most = params.get("Delimiter"), min(params.get("MaxKeys", PAGE), PAGE)
        # In the order of their bytes in UTF-8, which is that of their characters.
        entries: dict[str, str] = {}
        for key in sorted(objects):
            folder = _folder(key, prefix, delimiter)
            if key.startswith(prefix) and key > after and not after.startswith(folder or "\0"):
                entries.setdefault(folder or key, key if folder is None else "")
        page = list(entries)[:most]
        more = len(entries) > most
        answer: Params = {"IsTruncated": more, "KeyCount": len(page)}
        if keys := [
            {"Key": key, "Size": len(objects[key].content)} for key in page if entries[key]
        ]:
            answer["Contents"] = keys
        if folders := [{"Prefix": folder} for folder in page if not entries[folder]]:
            answer["CommonPrefixes"] = folders
        if more:
            answer["NextContinuationToken"] = page[-1]
        return answer

    def _delete(self, params: Params) -> Params:
        only(params, "Bucket", "Delete")
        only(params["Delete"], "Objects", "Quiet")
        keys = [each["Key"] for each in params["Delete"]["Objects"]]
        if not 1 <= len(keys) <= PAGE:
            raise Refused("MalformedXML", "The XML you provided was not well-formed")
        for key in keys:
            self._objects(params).pop(key, None)
        return {} if params["Delete"].get("Quiet") else {"Deleted": [{"Key": key} for key in keys]}


def _check(params: Params, standing: Stored | None) -> None:
    """Raises Refused if a put's condition does not hold."""
    if params.get("IfNoneMatch", "*") != "*":
        raise NotEmulated("If-None-Match of a tag")
    if "IfNoneMatch" in params and standing is not None:
        raise _precondition("If-None-Match")
    if "IfMatch" in params and standing is None:
        raise _no_such_key()
    if "IfMatch" in params and standing is not None and params["IfMatch"] != standing.etag:
        raise _precondition("If-Match")


def _precondition(name: str) -> Refused:
    message = "At least one of the pre-conditions you specified did not hold"
    return Refused("PreconditionFailed", message, 412, Condition=name)


def _no_such_key() -> Refused:
    return Refused("NoSuchKey", "The specified key does not exist.", 404)


def _folder(key: str, prefix: str, delimiter: str | None) -> str | None:
    """The common prefix that a key is rolled up into."""
    if delimiter is None:
        return None
    name, found, _ = key.removeprefix(prefix).partition(delimiter)
    return f"{prefix}{name}{delimiter}" if found else None
