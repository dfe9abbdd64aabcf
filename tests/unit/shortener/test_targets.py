from __future__ import annotations

import string
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from functions.kernel.errors import Rejected
from functions.shortener.targets import MAX_URL, identity, target

OWN_HOSTS = {"sho.rt", "api.example.com:4566"}

SCHEME = "must start with http"
HIDDEN = "contains the character U+"
USER = "user name"
NO_HOST = "has no host"
NAME = "no valid domain name"
MALFORMED = "malformed host"
DISGUISED = "disguised form"
PRIVATE = "private"
MIXED = "look-alike"
LOOP = "leads back"
NO_URL = "is not a URL"
LONG = "is longer than"

ABUSE = {
    # Schemes
    "javascript": ("javascript:alert(1)", SCHEME),
    "javascript-upper": ("JavaScript:alert(1)", SCHEME),
    "javascript-with-authority": ("javascript://example.com/%0aalert(1)", SCHEME),
    "data": ("data:text/html;base64,PHNjcmlwdD4=", SCHEME),
    "file": ("file:///etc/passwd", SCHEME),
    "vbscript": ("vbscript:msgbox(1)", SCHEME),
    "ftp": ("ftp://example.com/", SCHEME),
    "blob": ("blob:https://example.com/1", SCHEME),
    "relative": ("/login", SCHEME),
    "scheme-relative": ("//evil.com/", SCHEME),
    "bare-name": ("example.com", SCHEME),
    "empty": ("", SCHEME),
    "tab-in-scheme": ("java\tscript:alert(1)", HIDDEN + "0009"),
    "newline-in-scheme": ("java\nscript:alert(1)", HIDDEN + "000A"),
    "tab-in-http": ("ht\ttp://example.com/", HIDDEN + "0009"),
    "leading-space": (" https://example.com/", HIDDEN + "0020"),
    "leading-control": ("\x01javascript:alert(1)", HIDDEN + "0001"),
    # Hidden characters
    "crlf": ("https://example.com/\r\nSet-Cookie: a=b", HIDDEN + "000D"),
    "newline-in-host": ("https://exam\nple.com/", HIDDEN + "000A"),
    "null": ("https://example.com/\x00", HIDDEN + "0000"),
    "delete": ("https://example.com/\x7f", HIDDEN + "007F"),
    "next-line": ("https://example.com/\x85", HIDDEN + "0085"),
    "line-separator": ("https://example.com/\u2028", HIDDEN + "2028"),
    "no-break-space": ("https://example.com/\xa0", HIDDEN + "00A0"),
    "rtl-override": ("https://example.com/\u202egnp.exe", HIDDEN + "202E"),
    "rtl-isolate": ("https://example.com/\u2067a", HIDDEN + "2067"),
    "rtl-in-host": ("https://exa\u202emple.com/", HIDDEN + "202E"),
    "zero-width-space": ("https://exa\u200bmple.com/", HIDDEN + "200B"),
    "zero-width-joiner": ("https://exa\u200dmple.com/", HIDDEN + "200D"),
    "soft-hyphen": ("https://exa\xadmple.com/", HIDDEN + "00AD"),
    "byte-order-mark": ("https://example.com/\ufeff", HIDDEN + "FEFF"),
    "lone-surrogate": ("https://example.com/\ud800", HIDDEN + "D800"),
    "backslash-host": ("https:\\\\evil.com/", HIDDEN + "005C"),
    "backslash-in-authority": ("https://evil.com\\@example.com/", HIDDEN + "005C"),
    "backslash-in-path": ("https://example.com/a\\b", HIDDEN + "005C"),
    # Authority
    "userinfo": ("https://bank.com@evil.com/", USER),
    "userinfo-with-password": ("https://user:secret@example.com/", USER),
    "empty-userinfo": ("https://@evil.com/", USER),
    "fullwidth-at": ("https://bank.com\uff20evil.com/", NO_URL),
    "fullwidth-slash": ("https://evil.com\uff0fexample.com/", NO_URL),
    "no-host": ("https:///path", NO_HOST),
    "nothing-but-a-scheme": ("https://", NO_HOST),
    "one-slash": ("https:/example.com/", NO_HOST),
    "no-slash": ("https:example.com", NO_HOST),
    "only-a-port": ("https://:443/", NO_HOST),
    "port-too-high": ("https://example.com:65536/", NO_URL),
    "port-no-number": ("https://example.com:x/", NO_URL),
    "port-negative": ("https://example.com:-1/", NO_URL),
    "port-in-foreign-digits": ("https://example.com:\u0668\u0660/", NO_URL),
    "two-ports": ("https://example.com:80:443/", NO_URL),
    "empty-port": ("https://example.com:/", MALFORMED),
    "percent-in-host": ("https://exa%6dple.com/", MALFORMED),
    "percent-null-in-host": ("https://evil.com%00.example.com/", MALFORMED),
    # Names
    "empty-label": ("https://a..example.com/", NAME),
    "leading-dot": ("https://.example.com/", NAME),
    "two-trailing-dots": ("https://example.com../", NAME),
    "label-too-long": (f"https://{'a' * 64}.com/", NAME),
    "name-too-long": (f"https://{'a.' * 127}com/", NAME),
    "comma-in-host": ("https://exa,mple.com/", NAME),
    "quote-in-host": ('https://exa"mple.com/', NAME),
    "emoji-host": ("https://\u2764.com/", NAME),
    "broken-punycode": ("https://xn--a.com/", NAME),
    "empty-punycode": ("https://xn--.com/", NAME),
    "cyrillic-homograph": ("https://p\u0430ypal.com/", MIXED),
    "greek-homograph": ("https://g\u03bfogle.com/", MIXED),
    "cyrillic-in-a-subdomain": ("https://p\u0430ypal.example.com/", MIXED),
    "punycode-of-a-homograph": ("https://xn--pypal-4ve.com/", MIXED),
    "punycode-in-upper-case": ("https://XN--PYPAL-4VE.com/", MIXED),
    # Private hosts
    "localhost": ("http://localhost/", PRIVATE),
    "localhost-in-any-case": ("http://LocalHost:8080/", PRIVATE),
    "localhost-with-dot": ("http://localhost./", PRIVATE),
    "below-localhost": ("http://a.localhost/", PRIVATE),
    "circled-localhost": ("http://\u24dbocalhost/", PRIVATE),
    "local": ("http://printer.local/", PRIVATE),
    "internal": ("http://metadata.google.internal/", PRIVATE),
    # IPv4
    "loopback": ("http://127.0.0.1/", PRIVATE),
    "all-of-loopback": ("http://127.9.9.9/", PRIVATE),
    "loopback-with-dot": ("http://127.0.0.1./", PRIVATE),
    "this-host": ("http://0.0.0.0/", PRIVATE),
    "private-10": ("http://10.0.0.1/", PRIVATE),
    "private-172": ("http://172.16.0.1/", PRIVATE),
    "private-192": ("http://192.168.1.1/", PRIVATE),
    "carrier-nat": ("http://100.64.0.1/", PRIVATE),
    "metadata": ("http://169.254.169.254/latest/meta-data/", PRIVATE),
    "containers-metadata": ("http://169.254.170.2/", PRIVATE),
    "documentation": ("http://192.0.2.1/", PRIVATE),
    "multicast": ("http://224.0.0.1/", PRIVATE),
    "broadcast": ("http://255.255.255.255/", PRIVATE),
    "class-e": ("http://240.0.0.1/", PRIVATE),
    "octal": ("http://0177.0.0.1/", DISGUISED),
    "octal-that-looks-public": ("http://010.8.8.8/", DISGUISED),
    "hex": ("http://0x7f.0.0.1/", DISGUISED),
    "hex-whole": ("http://0x7f000001/", DISGUISED),
    "hex-last": ("http://127.0.0.0x1/", DISGUISED),
    "hex-empty": ("http://127.0.0.0x/", DISGUISED),
    "decimal": ("http://2130706433/", DISGUISED),
    "short": ("http://127.1/", DISGUISED),
    "three-parts": ("http://127.0.1/", DISGUISED),
    "five-parts": ("http://127.0.0.0.1/", DISGUISED),
    "out-of-range": ("http://256.0.0.1/", DISGUISED),
    "name-that-ends-in-a-number": ("http://example.1/", DISGUISED),
    "fullwidth-digits": ("http://\uff11\uff12\uff17.0.0.1/", PRIVATE),
    "circled-digits": ("http://\u2460\u2461\u2466.0.0.1/", PRIVATE),
    "ideographic-dots": ("http://127\u30020\u30020\u30021/", PRIVATE),
    # IPv6
    "v6-loopback": ("http://[::1]/", PRIVATE),
    "v6-unspecified": ("http://[::]/", PRIVATE),
    "v6-link-local": ("http://[fe80::1]/", PRIVATE),
    "v6-site-local": ("http://[fec0::1]/", PRIVATE),
    "v6-unique-local": ("http://[fd00::1]/", PRIVATE),
    "v6-metadata": ("http://[fd00:ec2::254]/", PRIVATE),
    "v6-documentation": ("http://[2001:db8::1]/", PRIVATE),
    "v6-multicast": ("http://[ff02::1]/", PRIVATE),
    "v6-mapped-loopback": ("http://[::ffff:127.0.0.1]/", DISGUISED),
    "v6-mapped-in-hex": ("http://[::ffff:7f00:1]/", DISGUISED),
    "v6-mapped-public": ("http://[::ffff:8.8.8.8]/", DISGUISED),
    "v6-compatible": ("http://[::127.0.0.1]/", DISGUISED),
    "v6-translated": ("http://[::ffff:0:127.0.0.1]/", DISGUISED),
    "v6-nat64-metadata": ("http://[64:ff9b::169.254.169.254]/", DISGUISED),
    "v6-local-nat64": ("http://[64:ff9b:1::10.0.0.1]/", DISGUISED),
    "v6-to-4": ("http://[2002:7f00:1::]/", DISGUISED),
    "v6-teredo": ("http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", DISGUISED),
    "v6-zone": ("http://[fe80::1%25eth0]/", MALFORMED),
    "v6-not-closed": ("http://[::1/", NO_URL),
    "v6-not-one": ("http://[::g]/", NO_URL),
    "v6-future": ("http://[v1.example.com]/", NO_URL),
    "v6-with-a-name-behind": ("http://[2606:4700::1111]evil.com/", NO_URL),
    "v6-with-a-name-before": ("http://evil.com[2606:4700::1111]/", NO_URL),
    # Loops
    "own-host": ("https://sho.rt/abc", LOOP),
    "own-host-over-http": ("http://sho.rt/abc", LOOP),
    "own-host-in-any-case": ("https://SHO.rt/abc", LOOP),
    "own-host-with-dot": ("https://sho.rt./abc", LOOP),
    "own-host-default-port": ("https://sho.rt:443/abc", LOOP),
    "own-host-any-port": ("https://sho.rt:8443/abc", LOOP),
    "own-host-in-fullwidth": ("https://\uff53ho.rt/abc", LOOP),
    "own-host-and-port": ("http://api.example.com:4566/abc", LOOP),
    # Length
    "too-long": ("https://example.com/" + "a" * (MAX_URL - 19), LONG),
    "too-long-once-encoded": ("https://example.com/" + "\xfc" * (MAX_URL // 6), LONG),
}

KEPT = [
    "https://example.com",
    "https://example.com/",
    "http://example.com:8080/",
    "https://example.com?a=b",
    "https://example.com#top",
    "https://example.com/a/../b/./c//d",
    "https://example.com/a%20b%2Fc%C3%BC?q=%26#%41",
    "https://example.com/100%",
    "https://example.com/?q=a+b&c=d;e=[1]&f='x'",
    "https://example.com/?next=https://evil.com@x/",
    "https://example.com/@user:tag",
    "https://my_host.example.com/",
    "https://xn--bcher-kva.example/",
    "https://8.8.8.8/",
    "https://[2606:4700::1111]:8443/",
    "https://1.2.3.4.example.com/",
    "https://localhost.example.com/",
    "https://notsho.rt/",
    "https://sho.rt.example.com/",
    "https://example.com/" + "a" * (MAX_URL - 20),
]

MADE_ASCII = {
    "scheme-and-host-in-upper-case": ("HTTPS://Example.COM/A", "https://example.com/A"),
    "https-default-port": ("https://example.com:443/a", "https://example.com/a"),
    "http-default-port": ("http://example.com:80/a", "http://example.com/a"),
    "other-schemes-port": ("http://example.com:443/", "http://example.com:443/"),
    "port-with-zeros": ("https://example.com:0443/", "https://example.com/"),
    "trailing-dot": ("https://example.com./a", "https://example.com/a"),
    "unicode-path": ("https://example.com/\xfc/\u4f60", "https://example.com/%C3%BC/%E4%BD%A0"),
    "unicode-query": ("https://example.com/?q=\xfc#\xfc", "https://example.com/?q=%C3%BC#%C3%BC"),
    "idn": ("https://b\xfccher.example/", "https://xn--bcher-kva.example/"),
    "idn-in-upper-case": ("https://B\xdcCHER.example/", "https://xn--bcher-kva.example/"),
    "idn-decomposed": ("https://bu\u0308cher.example/", "https://xn--bcher-kva.example/"),
    "idn-of-one-script": ("https://\u043f\u0440\u0438.example/", "https://xn--h1and.example/"),
    "fullwidth-letters": ("https://\uff45xample.com/", "https://example.com/"),
    "quotes-and-brackets": (
        'https://example.com/<a>"b"{c}|^`', "https://example.com/%3Ca%3E%22b%22%7Bc%7D%7C%5E%60"
    ),
    "v6-in-long-form": ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]/"),
}  # fmt: skip


def accepted(url: str) -> str | None:
    try:
        return target(url, OWN_HOSTS)
    except Rejected:
        return None


@pytest.mark.parametrize(("url", "reason"), ABUSE.values(), ids=ABUSE)
def test_abuse_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(Rejected) as refusal:
        target(url, OWN_HOSTS)
    assert reason in refusal.value.reason
    assert refusal.value.field == "long_url"


@pytest.mark.parametrize("url", KEPT, ids=lambda url: str(url)[:60])
def test_a_good_url_is_kept_as_it_is(url: str) -> None:
    assert target(url, OWN_HOSTS) == url


@pytest.mark.parametrize(("url", "expected"), MADE_ASCII.values(), ids=MADE_ASCII)
def test_a_good_url_is_made_ascii(url: str, expected: str) -> None:
    assert target(url, OWN_HOSTS) == expected


LABELS = st.sampled_from(
    ["example", "b\xfccher", "p\u0430ypal", "\u043f\u0440\u0438", "xn--bcher-kva", "a_b", "a-", "A"]
) | st.text(string.ascii_letters + string.digits + "-_.\xdf\u4f60\u3002", max_size=6)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "com"]))
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map("[{}]".format)
HOSTS = NAMES | V4 | V6 | st.text(max_size=10)
PORTS = st.just("") | st.integers(0, 70_000).map(":{}".format)
RESTS = st.just("") | st.tuples(st.sampled_from("/?#"), st.text(max_size=20)).map("".join)
# Half of them are refused, which is what is tested elsewhere.
PATIENT = settings(suppress_health_check=[HealthCheck.filter_too_much])
URLS = st.tuples(st.sampled_from(["http://", "HTTPS://"]), HOSTS, PORTS, RESTS).map("".join)


@given(st.text() | st.text().map("https://{}".format))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    accepted(text)


@PATIENT
@given(URLS)
def test_what_was_accepted_is_accepted_as_it_is(url: str) -> None:
    once = accepted(url)
    assume(once is not None)
    assert once is not None
    assert target(once, OWN_HOSTS) == once


@PATIENT
@given(URLS)
def test_what_was_accepted_is_ascii_without_anything_hidden(url: str) -> None:
    once = accepted(url)
    assume(once is not None)
    assert set(once or "") <= set(string.ascii_letters + string.digits + string.punctuation) - {
        "\\", '"', "<", ">", "^", "`", "{", "|", "}"
    }  # fmt: skip


@PATIENT
@given(URLS)
def test_every_parser_reads_the_same_host_from_what_was_accepted(url: str) -> None:
    once = accepted(url)
    assume(once is not None)
    assert once is not None
    ours, theirs = urlsplit(once), httpx.URL(once)
    assert ours.scheme == theirs.scheme in ("http", "https")
    assert ours.hostname == theirs.raw_host.decode().strip("[]")
    assert ours.port == theirs.port
    assert once.startswith(f"{ours.scheme}://{ours.netloc}")
    assert not ours.username


@PATIENT
@given(URLS)
def test_identity_of_an_identity_is_itself(url: str) -> None:
    once = accepted(url)
    assume(once is not None)
    assert once is not None
    assert identity(identity(once)) == identity(once)


@pytest.mark.parametrize("rest", ["", "?", "#", "?a", "#a", "?#", "?a#b"], ids=repr)
def test_an_empty_path_is_a_slash_and_nothing_else_is_lost(rest: str) -> None:
    assert identity(f"https://example.com{rest}") == f"https://example.com/{rest}"


@pytest.mark.parametrize(
    "other",
    ["https://example.com/A", "https://example.com/a/", "http://example.com/a",
     "https://example.com/a?", "https://example.com/%61"],
    ids=["case", "slash", "scheme", "query", "escape"],
)  # fmt: skip
def test_what_may_be_another_page_is_another_url(other: str) -> None:
    assert identity(other) != identity("https://example.com/a")
