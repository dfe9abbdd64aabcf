"""The bucket of facts: objects of gzipped lines, the same lines always the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from gzip import GzipFile
from io import BytesIO
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from botocore.exceptions import ClientError

DELETE = 1000
"""DeleteObjects takes at most this many (S3 API reference)."""
LEVEL = 6


class DeleteFailed(Exception):
    """The bucket kept objects that were to go."""


class Compact(NamedTuple):
    """A compacted hour: a file of its gzipped lines, how often it was written, and its entity tag,
    which is none before it is written first."""

    content: IO[bytes]
    revision: int = 0
    etag: str | None = None


class Objects:
    """One bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, ordered: Iterable[bytes]) -> None:
        """Writes lines; whatever stands there was the same."""
        content = BytesIO()
        write(content, ordered)
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content.getvalue())

    def get(self, key: str) -> IO[bytes]:
        """An object, gzipped as it is, in memory."""
        with closing(self._client.get_object(Bucket=self._bucket, Key=key)["Body"]) as body:
            return BytesIO(body.read())

    def compact(self, key: str) -> Compact:
        """A compacted hour, in a file; of none at all an empty one."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            return Compact(BytesIO())
        with closing(answer["Body"]) as body, ExitStack() as unfinished:
            content = unfinished.enter_context(TemporaryFile())
            copyfileobj(body, content)
            unfinished.pop_all()
        return Compact(content, int(answer["Metadata"]["revision"]), answer["ETag"])

    def replace(self, key: str, before: Compact, content: IO[bytes]) -> bool:
        """Writes the next revision of a compacted hour, unless somebody else has; says if it did.
        Where its answer is lost and it is sent again, it says it did not."""
        content.seek(0)
        condition = {"IfNoneMatch": "*"} if before.etag is None else {"IfMatch": before.etag}
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                Metadata={"revision": str(before.revision + 1)},
                **condition,
            )
        except ClientError as error:
            # 409: another write of this key was under way.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412):
                return False
            raise
        return True

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, in order."""
        return [each["Key"] for page in self._pages(Prefix=prefix) for each in page]

    def folders(self, prefix: str, after: str = "", most: int = 1000) -> list[str]:
        """The first `most` folders below a prefix, which ends with a slash, that come after one."""
        answer = self._client.list_objects_v2(
            Bucket=self._bucket,
            Prefix=prefix,
            Delimiter="/",
            MaxKeys=most,
            # "0" follows the slash: beyond all that is in that folder.
            **({"StartAfter": f"{prefix}{after}0"} if after else {}),
        )
        found = (each["Prefix"] for each in answer.get("CommonPrefixes", []))
        return [folder.removeprefix(prefix).rstrip("/") for folder in found]

    def delete(self, keys: list[str]) -> None:
        """Deletes objects. Raises DeleteFailed."""
        for start in range(0, len(keys), DELETE):
            named = [{"Key": key} for key in keys[start : start + DELETE]]
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": named, "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise DeleteFailed(errors[0]["Code"])

    def _pages(self, **where: str) -> Iterator[list[dict[str, Any]]]:
        page: dict[str, str] = {}
        while True:
            answer = self._client.list_objects_v2(Bucket=self._bucket, **where, **page)
            yield answer.get("Contents", [])
            if not answer["IsTruncated"]:
                return
            page = {"ContinuationToken": answer["NextContinuationToken"]}


def write(file: IO[bytes], ordered: Iterable[bytes], revision: int = 0) -> None:
    """Writes lines into a file, gzipped. Where a time would stand is the revision: an entity tag
    tells bytes apart, and must tell apart two revisions of the same lines."""
    with GzipFile(
        filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=revision
    ) as packed:
        packed.writelines(ordered)


def read(file: IO[bytes]) -> Iterator[bytes]:
    """A gzipped file's lines from its beginning, read as they are asked for."""
    file.seek(0)
    yield from GzipFile(fileobj=file)
