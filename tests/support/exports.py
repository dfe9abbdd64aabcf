"""Exports of other shorteners, made up at any size in the shapes that their sources document."""

from __future__ import annotations

import csv
import io
import json
from typing import Any


def shlink_csv(links: int, domain: str = "s.test") -> str:
    """What shlink-web-client exports: json2csv puts texts into quotes, and numbers not."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(
        ["createdAt", "domain", "shortCode", "shortUrl", "longUrl", "title", "tags", "visits"]
    )
    for n in range(links):
        code, tags = f"sh{n:05}", "spring|mail" if n % 3 else ""
        short, long = f"https://{domain}/{code}", f"https://example.com/{n}?utm_source=mail"
        title = f'Offer "{n}", of the day'
        writer.writerow(
            ["2024-03-01T12:00:00+01:00", domain, code, short, long, title, tags, n % 7]
        )
    return out.getvalue()


def shlink_link(code: str, **fields: Any) -> dict[str, Any]:
    """A short URL as the REST API of Shlink shows it."""
    return {
        "shortCode": code,
        "shortUrl": f"https://s.test/{code}",
        "longUrl": f"https://example.com/{code}",
        "dateCreated": "2024-03-01T12:00:00+01:00",
        "visitsSummary": {"total": 3, "nonBots": 2, "bots": 1},
        "tags": ["spring"],
        "meta": {"validSince": None, "validUntil": None, "maxVisits": None},
        "domain": None,
        "title": None,
        "crawlable": False,
        "forwardQuery": False,
        "hasRedirectRules": False,
        **fields,
    }


def shlink_page(*links: dict[str, Any]) -> str:
    """An answer of GET /rest/v3/short-urls."""
    return json.dumps({"shortUrls": {"data": links, "pagination": {"currentPage": 1}}})


def yourls_dump(links: int, batch: int = 500) -> str:
    """What mysqldump writes of the table: long INSERTs without column names."""
    rows = [
        f"('y{n}','https://example.com/{n}','It\\'s \\\"{n}\\\"; ok','2024-03-01 12:00:00',"
        f"'192.0.2.1',{n % 5})"
        for n in range(links)
    ]
    inserts = [
        f"INSERT INTO `yourls_url` VALUES {','.join(rows[at : at + batch])};"
        for at in range(0, links, batch)
    ]
    head = """-- MySQL dump 10.13  Distrib 8.0.36
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `yourls_url`;
CREATE TABLE `yourls_url` (
  `keyword` varchar(100) COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  `url` text NOT NULL,
  `title` text,
  `timestamp` timestamp NOT NULL DEFAULT current_timestamp(),
  `ip` varchar(41) NOT NULL,
  `clicks` int unsigned NOT NULL,
  PRIMARY KEY (`keyword`),
  KEY `url_idx` (`url`(30))
) ENGINE=InnoDB;
LOCK TABLES `yourls_url` WRITE;
"""
    return "\n".join([head, *inserts, "UNLOCK TABLES;\n"])
