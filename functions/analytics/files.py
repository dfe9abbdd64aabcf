"""The file that an export becomes: an object, put at once or as parts of a multipart upload."""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from functions.analytics.exporting import FORMATS
from functions.analytics.exports import Export, key

PART = 8 * 1024 * 1024
"""Bytes from which on a part is uploaded. S3 takes none under 5 MiB but the last."""
MISSING = ("403", "404", "NoSuchKey")
"""What S3 says of an object that is not there; the first, to who may not list its bucket."""
_BROKEN = ("InvalidPart", "NoSuchUpload")


class Broken(Exception):
    """The upload is no longer, or not what the export says of it."""


class Part(NamedTuple):
    """A part that stands: its upload and its ETag."""

    upload: str
    tag: str


class File:
    """One export's file. What it uploads stands for nothing until the export says so."""

    def __init__(self, s3: Any, bucket: str, name: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._name = name

    def begun(self, export: Export) -> bytes:
        """What is written already and not yet a part."""
        if export.rest is not None:
            place = {"Bucket": self._bucket, "Key": export.rest}
            content: bytes = self._s3.get_object(**place)["Body"].read()
            return content
        return b"" if export.parts else FORMATS[export.format].head.encode()

    def keep(self, export: Export, content: bytes, mark: str) -> str:
        """Keeps less than a part for the next run, in an object of its own; gives its key."""
        beside = f"{key(self._name, export)}.{mark}"
        self._s3.put_object(Bucket=self._bucket, Key=beside, Body=content)
        return beside

    def add(self, export: Export, content: bytes) -> Part:
        """Uploads the next part. Raises Broken."""
        place = self._place(export)
        upload = export.upload
        if upload is None:
            media = FORMATS[export.format].media
            upload = self._s3.create_multipart_upload(**place, ContentType=media)["UploadId"]
        number = len(export.parts) + 1
        try:
            answer = self._s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=content)
        except ClientError as error:
            raise _broken(error) from error
        return Part(upload, answer["ETag"])

    def finish(self, export: Export, content: bytes) -> None:
        """Ends the file. Raises Broken."""
        if export.upload is None:
            media = FORMATS[export.format].media
            self._s3.put_object(**self._place(export), ContentType=media, Body=content)
            return
        if self._stands(export):
            # The run that completed it died before it could say so.
            return
        last = [self.add(export, content).tag] if content else []
        tags = enumerate([*export.parts, *last], 1)
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in tags]
        try:
            self._s3.complete_multipart_upload(
                **self._place(export), UploadId=export.upload, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            raise _broken(error) from error

    def _stands(self, export: Export) -> bool:
        try:
            self._s3.head_object(**self._place(export))
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return False
            raise
        return True

    def _place(self, export: Export) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": key(self._name, export)}


def _broken(error: ClientError) -> Exception:
    return Broken() if error.response["Error"]["Code"] in _BROKEN else error
