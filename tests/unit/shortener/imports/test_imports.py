"""Every source's documented shapes, and what is wrong with a row without harming the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shortener.imports import kutt, millrace, shlink, yourls
from functions.shortener.imports.rows import CUT_TITLE, MAX_TITLE, Row
from tests.support.exports import shlink_csv, shlink_link, shlink_page, yourls_dump

SOURCES = [yourls.rows, shlink.rows, kutt.rows, millrace.rows]
URL = "https://example.com/a"


def codes(rows: Sequence[Row]) -> list[str]:
    return [row.link["alias"] for row in rows if not row.fault]


def faults(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row.place, row.fault) for row in rows if row.fault]


class TestYourls:
    def test_a_mysqldump_is_read(self) -> None:
        rows = list(yourls.rows(yourls_dump(3, batch=2)))
        assert rows[1].link == {
            "long_url": "https://example.com/1",
            "alias": "y1",
            "expires_at": None,
            "title": 'It\'s "1"; ok',
        }
        assert (codes(rows), [row.clicks for row in rows]) == (["y0", "y1", "y2"], [0, 1, 2])

    def test_phpmyadmins_dump_names_columns_in_its_own_order(self) -> None:
        dump = (
            "INSERT INTO `short`.`x_url` (`url`, `keyword`, `clicks`) VALUES\n"
            "('https://example.com/?a=(1),(2);--', 'a', 4), -- one\n"
            "('https://example.com/it''s\\\\', 'b', '5');"
        )
        rows = list(yourls.rows(dump))
        assert [(r.place, r.link["alias"], r.link["long_url"], r.clicks) for r in rows] == [
            ("line 2", "a", "https://example.com/?a=(1),(2);--", 4),
            ("line 3", "b", "https://example.com/it's\\", 5),
        ]

    @pytest.mark.parametrize(
        ("literal", "read"),
        [
            (r"""'?q=""'''""", '?q=""\''),
            (r'''"?q=''"""''', "?q=''\""),
            (r"""'?q=\'""\""'""", '?q=\'""""'),
        ],
    )
    def test_only_its_own_quotes_are_doubled_in_a_string(self, literal: str, read: str) -> None:
        [row] = yourls.rows(f"INSERT INTO yourls_url VALUES ('a','{URL}',{literal},'','',0);")
        assert row.link["title"] == read

    def test_columns_come_from_the_table_where_the_insert_names_none(self) -> None:
        dump = (
            "CREATE TABLE yourls_url (`clicks` int, `keyword` varchar(9), `url` text,"
            " PRIMARY KEY (`keyword`));\nINSERT INTO yourls_url VALUES (7, 'a', "
            "0x68747470733a2f2f6578616d706c652e636f6d2f61);"
        )
        [row] = yourls.rows(dump)
        assert (row.link["alias"], row.link["long_url"], row.clicks) == ("a", URL, 7)

    def test_other_tables_are_left_alone(self) -> None:
        dump = "INSERT INTO `yourls_options` VALUES (1,'a','b');\n" + yourls_dump(1)
        assert codes(list(yourls.rows(dump))) == ["y0"]

    def test_bad_rows_of_a_dump_stop_nothing(self) -> None:
        dump = (
            f"INSERT INTO `yourls_url` VALUES ('a','{URL}',NULL,'','',0),\n('b'),\n"
            f"(NULL,'{URL}','','','',0),\n('d','{URL}','','','',1),\n('e','https://exa"
        )
        rows = list(yourls.rows(dump))
        assert codes(rows) == ["a", "d"]
        assert faults(rows) == [
            ("line 2", "has 1 values for 6 columns"),
            ("line 3", "has no keyword"),
            ("line 5", "is cut off"),
        ]

    @pytest.mark.parametrize(
        "export",
        [
            f'"a","{URL}","A, b","2024-03-01 12:00:00","192.0.2.1","9"\n',
            f"keyword;url;title;clicks\na;{URL};A, b;9\n",
            f"source,target,hits\r\n/a/,{URL},9\r\n",
        ],
        ids=["phpmyadmin", "with-header", "plugin"],
    )
    def test_a_csv_is_read(self, export: str) -> None:
        [row] = yourls.rows(export)
        assert (row.link["alias"], row.link["long_url"], row.clicks) == ("a", URL, 9)

    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
    def test_what_mysql_escaped_is_read_back(self, title: str) -> None:
        escaped = title.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
        first, second = (f"('{code}','{URL}','{escaped}','','',0)" for code in "ab")
        dump = f"INSERT INTO yourls_url VALUES {first},{second};"
        rows = list(yourls.rows(dump))
        assert codes(rows) == ["a", "b"]
        assert rows[0].link.get("title") == (" ".join(title.split()) or None)


class TestShlink:
    def test_the_web_clients_csv_is_read(self) -> None:
        rows = list(shlink.rows(shlink_csv(2)))
        assert rows[1].link == {
            "long_url": "https://example.com/1?utm_source=mail",
            "alias": "sh00001",
            "expires_at": None,
            "domain": "s.test",
            "title": 'Offer "1", of the day',
            "tags": ["spring", "mail"],
        }
        assert (rows[1].clicks, rows[1].place) == (1, "line 3")

    def test_the_standard_csv_is_read(self) -> None:
        export = f"longURL;tags;Short URL;Title\n{URL};foo,bar;https://s.test/a;\n"
        [row] = shlink.rows(export)
        assert (row.link["alias"], row.link["domain"], row.link["tags"]) == (
            *("a", "s.test"),
            ["foo", "bar"],
        )

    def test_what_the_api_tells_is_kept(self) -> None:
        meta = {
            "validSince": "2027-01-21T00:00:00+02:00",
            "validUntil": "2028-01-01T00:00:00Z",
            "maxVisits": 10,
        }
        link = shlink_link("a", meta=meta, domain="x.test", title="A", hasRedirectRules=True)
        [row] = shlink.rows(shlink_page(link))
        assert row.link == {
            "long_url": URL,
            "alias": "a",
            "expires_at": "2028-01-01T00:00:00.000Z",
            "not_before": "2027-01-20T22:00:00.000Z",
            "max_clicks": 7,
            "domain": "x.test",
            "title": "A",
            "tags": ["spring"],
        }
        assert (row.clicks, row.notes) == (3, (shlink.RULES,))

    def test_a_link_whose_visits_are_used_up_is_left_out(self) -> None:
        meta = {"validSince": None, "validUntil": None, "maxVisits": 3}
        [row] = shlink.rows(shlink_page(shlink_link("a", meta=meta)))
        assert row.left_out == shlink.USED_UP

    def test_pages_may_stand_one_after_the_other_and_one_may_be_broken(self) -> None:
        pages = [
            shlink_page(shlink_link("a"), shlink_link("b", tags="x")),
            '{"shortUrls": ',
            shlink_page(shlink_link("c")),
        ]
        rows = list(shlink.rows("\n".join(pages)))
        assert codes(rows) == ["a", "c"]
        assert [place for place, _ in faults(rows)] == ["line 1, link 2", "line 2"]

    def test_a_file_that_is_no_export_is_one_bad_row(self) -> None:
        [row] = shlink.rows("name,colour\nfox,red\n")
        assert row.fault is not None
        assert "names no columns" in row.fault


class TestKutt:
    LINK: ClassVar[dict[str, Any]] = {
        "address": "a",
        "target": URL,
        "description": "A",
        "domain": None,
        "expire_in": "2028-01-01 00:00:00",
        "visit_count": 4,
        "password": False,
        "banned": False,
    }

    def test_an_answer_of_the_api_is_read(self) -> None:
        [row] = kutt.rows(json.dumps({"total": 1, "limit": 10, "skip": 0, "data": [self.LINK]}))
        assert row.link == {
            "long_url": URL,
            "alias": "a",
            "expires_at": "2028-01-01T00:00:00.000Z",
            "title": "A",
        }
        assert (row.clicks, row.left_out) == (4, None)

    @pytest.mark.parametrize("field", ["banned", "password"])
    def test_what_would_be_opened_to_all_is_left_out(self, field: str) -> None:
        [row] = kutt.rows(json.dumps([{**self.LINK, field: True}]))
        assert field in (row.left_out or "")

    def test_the_table_as_csv_is_read(self) -> None:
        export = (
            "id,address,target,banned,password,domain_id,visit_count\n"
            f"1,a,{URL},f,,,4\n2,b,{URL},t,,,0\n3,c,{URL},f,$2a$10$x,,0\n4,d,{URL},f,,9,0\n"
        )
        rows = list(kutt.rows(export))
        assert [row.left_out and row.left_out[:6] for row in rows] == [
            *(None, "is ban", "has a "),
            None,
        ]
        assert [place for place, _ in faults(rows)] == ["line 5"]


def test_our_own_export_leaves_out_what_would_be_opened_to_all() -> None:
    link = {"code": "a", "long_url": URL, "domain": None, "expires_at": None}
    lines = [link, *({**link, name: True} for name in millrace.REASONS), {**link, "new": 1}]
    rows = list(millrace.rows("\n".join(map(json.dumps, lines))))
    assert [bool(row.left_out) for row in rows] == [False, *[True] * len(millrace.REASONS), False]
    assert rows[-1].notes == ("new",)


def test_our_own_export_does_not_say_how_much_of_a_cap_is_used() -> None:
    link = {"code": "a", "long_url": URL, "max_clicks": 1}
    [row] = millrace.rows(json.dumps(link))
    assert row.link["max_clicks"] == 1
    assert row.notes == (millrace.USED,)


def test_a_row_with_bytes_that_are_no_utf8_stops_nothing() -> None:
    text = f"keyword,url,title\na,{URL},caf\xe9\nb,{URL},ok\n".encode("latin-1")
    rows = list(yourls.rows(text.decode(errors="surrogateescape")))
    assert (codes(rows), faults(rows)) == (["b"], [("line 2", "holds what is not UTF-8")])


def test_a_quote_that_nobody_closed_costs_its_own_record_only_up_to_the_limit() -> None:
    export = f'keyword,url\na,"{URL}\n' + f"x,{URL}\n" * 20_000
    rows = list(yourls.rows(export))
    assert rows[0].place == "line 2"
    assert "reaches to line" in (rows[0].fault or "")
    assert codes(rows)[-1] == "x"


def test_a_title_that_is_too_long_is_cut_and_noted() -> None:
    [row] = yourls.rows(f"keyword,url,title\na,{URL},{'t' * 300}\n")
    assert (len(row.link["title"]), row.notes) == (MAX_TITLE, (CUT_TITLE,))


@pytest.mark.parametrize("moment", ["soon", "9999-12-31T23:59:59-10:00"])
def test_a_time_that_is_none_is_a_fault(moment: str) -> None:
    [row] = kutt.rows(json.dumps([{**TestKutt.LINK, "expire_in": moment}]))
    assert "no time" in (row.fault or "")


@given(st.sampled_from(SOURCES), st.text(max_size=80) | st.from_regex(r"[\[{(,;'\"`INSERTINTO\n]+"))
def test_no_text_makes_a_reader_fail(rows: Any, text: str) -> None:
    assert all(isinstance(row, Row) for row in rows(text))


NAMES = st.sampled_from(
    [
        *("shortCode", "longUrl", "meta", "tags", "visitsSummary", "total", "maxVisits", "data"),
        *("shortUrls", "address", "target", "expire_in", "code", "long_url", "domain", "title"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=12,
)


@given(st.sampled_from(SOURCES[1:]), JSON)
def test_no_json_makes_a_reader_fail(rows: Any, document: Any) -> None:
    assert all(isinstance(row, Row) for row in rows(json.dumps([document])))
