"""GET /{code}/qr: the picture says the short URL, to a reader that did not draw it."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import pytest
import zxingcpp

from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.shortener.decider import DECIDER, DEFAULT_DOMAIN, Moderate, stream_id
from tests.support.http_api import Response
from tests.support.pump import Stack

URL = "https://example.com/"
ANY = {"if-match": "*"}
Pixels = list[bytes]
"""Rows of grey values."""


@pytest.fixture
def short(stack: Stack) -> str:
    """The short URL of a link with the code `menu`."""
    body = {"long_url": URL, "alias": "menu"}
    answer = stack.request("POST", "/v1/links", user="alice", json=body)
    return str(answer.json()["short_url"])


def ask(stack: Stack, code: str = "menu", status: int = 200, **sent: Any) -> Response:
    query = {name: str(value) for name, value in sent.pop("query", {}).items()}
    answer = stack.request("GET", f"/{code}/qr", query=query, **sent)
    assert answer.status == status, answer.text
    return answer


def grey(colour: bytes) -> int:
    return sum(colour) // len(colour)


def png(file: bytes) -> Pixels:
    """The pixels of a PNG that has a palette or one grey bit (W3C PNG, 11.2)."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        chunks[kind] = file[at + 8 : at + 8 + size]
        at += 12 + size
    width, _, depth = struct.unpack_from(">IIB", chunks[b"IHDR"])
    assert depth == 1
    palette = chunks.get(b"PLTE", b"\0\0\0\xff\xff\xff")
    colours = [grey(palette[:3]), grey(palette[3:])]
    packed, stride = zlib.decompress(chunks[b"IDAT"]), 1 + (width + 7) // 8
    rows: Pixels = []
    above = bytes(stride - 1)
    for start in range(0, len(packed), stride):
        kind, row = packed[start], packed[start + 1 : start + stride]
        assert kind in (0, 2), "a filter other than none and up"
        above = bytes(a + b & 0xFF for a, b in zip(row, above, strict=True)) if kind else row
        rows.append(bytes(colours[above[x // 8] >> (7 - x % 8) & 1] for x in range(width)))
    return rows


def svg(file: str) -> Pixels:
    """The pixels of the lines that an SVG draws, a module each."""
    [size] = re.findall(r'<svg [^>]*width="(\d+)"', file)
    [scale] = re.findall(r'transform="scale\((\d+)\)"', file)
    side = int(size) // int(scale)
    rows = [bytearray(b"\xff" * side) for _ in range(side)]
    [path] = re.findall(r'class="qrline"[^>]* d="([^"]*)"', file)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path):
        given = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "h":
            [length] = given
            rows[int(y)][int(x) : int(x + length)] = bytes(int(length))
            x += length
        elif command == "M":
            x, y = given
        else:
            x, y = x + given[0], y + given[1]
    # A reader wants some pixels a module.
    return [bytes(value for value in row for _ in range(4)) for row in rows for _ in range(4)]


def said(pixels: Pixels) -> Any:
    """What a reader makes of them."""
    shape = [len(pixels), len(pixels[0])]
    image = memoryview(b"".join(pixels)).cast("B", shape)
    wanted = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    [code] = zxingcpp.read_barcodes(image, formats=wanted)
    return code


@pytest.mark.parametrize("level", ["l", "m", "q", "h"])
def test_a_picture_says_the_short_url(stack: Stack, short: str, level: str) -> None:
    drawn = ask(stack, query={"format": "png", "level": level})
    assert drawn.headers["content-type"] == "image/png"
    code = said(png(drawn.body))
    assert code.text == short
    assert "LMQH".index(code.ec_level) >= "lmqh".index(level)


def test_a_drawing_says_the_short_url(stack: Stack, short: str) -> None:
    drawn = ask(stack)
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert said(svg(drawn.text)).text == short


def test_colours_size_and_margin_are_as_asked(stack: Stack, short: str) -> None:
    sizes = {"format": "png", "size": 3, "margin": 2}
    plain = png(ask(stack, query=sizes).body)
    dark, light = "#102030", "#F0F0E0"
    coloured = png(ask(stack, query={**sizes, "dark": dark, "light": light}).body)
    assert {value for row in coloured for value in row} == {
        grey(bytes.fromhex(colour[1:])) for colour in (dark, light)
    }
    assert said(coloured).text == said(plain).text == short
    # The first dark pixel is the corner of a finder pattern, right after the margin.
    assert next(row.index(0) for row in plain if 0 in row) == 2 * 3
    assert len(png(ask(stack, query={**sizes, "margin": 0}).body)) == len(plain) - 2 * 2 * 3
    drawing = ask(stack, query={"dark": dark, "light": light}).text
    assert f'stroke="{dark}"' in drawing


def test_the_largest_picture_there_is_can_be_read(stack: Stack) -> None:
    code = "x" * 64
    body = {"long_url": URL, "alias": code}
    short = stack.request("POST", "/v1/links", user="alice", json=body).json()["short_url"]
    query = {"format": "png", "size": 40, "margin": 10, "level": "h"}
    assert said(png(ask(stack, code, query=query).body)).text == short


def test_a_picture_costs_half_a_read(stack: Stack, short: str) -> None:
    with stack.meter.operation("qr") as bill:
        ask(stack)
    assert (bill.by_operation, bill.rcu, bill.wcu) == ({"dynamodb:Query": 1}, 0.5, 0)


def test_a_picture_is_kept_for_a_day_and_runs_nothing(stack: Stack, short: str) -> None:
    headers = ask(stack).headers
    assert headers["cache-control"] == "public, max-age=86400"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("wrap", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_the_picture_is_told_so(stack: Stack, short: str, wrap: str) -> None:
    first = ask(stack)
    tag = first.headers["etag"]
    again = ask(stack, status=304, headers={"if-none-match": wrap.format(tag)})
    assert (again.body, again.headers["etag"]) == (b"", tag)
    assert again.headers["cache-control"] == first.headers["cache-control"]
    other = ask(stack, query={"size": 9}, headers={"if-none-match": tag})
    assert other.headers["etag"] != tag


def test_a_link_that_is_not_open_yet_has_its_picture(stack: Stack, short: str) -> None:
    change = {"disabled": True}
    stack.request("PATCH", "/v1/links/menu", user="alice", json=change, headers=ANY)
    ask(stack)


def test_a_deleted_link_has_none(stack: Stack, short: str) -> None:
    stack.request("DELETE", "/v1/links/menu", user="alice", headers=ANY)
    assert ask(stack, status=410).json()["type"] == "urn:millrace:problem:link_gone"


def test_a_banned_link_has_none(stack: Stack, short: str) -> None:
    store = DynamoStore(
        stack.client("dynamodb"), stack.functions["ShortenerQr"].env["EVENTS_TABLE"]
    )
    context = Context("moderator", stack.clock.now(), "ban", "test", tenant=None)
    Commands(store, DECIDER).execute(
        stream_id(DEFAULT_DOMAIN, "menu"), Moderate("banned", "phishing"), context
    )
    assert ask(stack, status=410).json()["type"] == "urn:millrace:problem:link_banned"


@pytest.mark.parametrize("code", ["nosuch", "-", "x" * 65])
def test_an_unknown_code_has_none(stack: Stack, code: str) -> None:
    assert ask(stack, code, 404).json()["type"] == "urn:millrace:problem:unknown_link"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "gif"),
        ("size", "0"),
        ("size", "41"),
        ("margin", "-1"),
        ("margin", "11"),
        ("dark", "red"),
        ("dark", "#fff"),
        ("dark", '#000000"/><script>'),
        ("light", "#ffffff\n"),
        ("light", "#000000"),
        ("level", "x"),
        ("nonsense", "1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(stack: Stack, short: str, field: str, value: str) -> None:
    with stack.meter.operation("refused") as bill:
        answer = ask(stack, status=422, query={field: value})
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert bill.calls == []
