"""Where the gateway connects to, for how long, and what it takes for an answer."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from functions.edge.problem import Problem
from functions.ratelimiter.forwarding import Call, Forwarder
from functions.ratelimiter.targets import Target, target
from tests.support.upstream import Upstream, said

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SECONDS = 20.0
"""More than any answer takes that comes at all."""


def call(to: Target, method: str = "GET") -> Call:
    return Call(to, method, f"{to.path}/x", {"host": to.authority}, None)


def refused(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as refusal:
        work()
    return refusal.value.status, refusal.value.kind


class Names:
    """A resolver of a test's own, which counts what it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


# ---- Where to ------------------------------------------------------------------------------------

NEVER = [
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::",
    "0.1.2.3", "224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "255.255.255.255", "240.0.0.1",
    "fd00:ec2::254", "192.0.0.192", "198.18.0.1", "192.0.2.1", "203.0.113.1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "100::1",
    "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "fec0::1", "4000::1", "nonsense", "", "127.1",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.100.100.200", "::1", "fc00::1", "fd12:3456::1",
]  # fmt: skip


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
def test_a_name_that_leads_to_what_is_not_public_is_not_connected_to(address: str) -> None:
    names = Names(address)
    forwarder = Forwarder(private=False, resolve=names)
    found = refused(lambda: forwarder.send(call(target("https://a.example", False)), SECONDS))
    assert found == (502, "upstream_unreachable")
    assert names.asked == ["a.example"]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_nobodys_upstream_wherever_private_ones_are_allowed(
    address: str,
) -> None:
    forwarder = Forwarder(private=True, resolve=Names(address))
    found = refused(lambda: forwarder.send(call(target("https://a.example", True)), SECONDS))
    assert found == (502, "upstream_unreachable")


def test_one_private_address_among_public_ones_is_enough(upstream: Upstream) -> None:
    forwarder = Forwarder(private=False, resolve=Names("93.184.215.14", "127.0.0.1"))
    to = Target("http", "a.example", upstream.port, "")
    assert refused(lambda: forwarder.send(call(to), SECONDS)) == (502, "upstream_unreachable")
    assert upstream.connections == 0


def test_an_address_is_looked_at_though_no_name_was_resolved() -> None:
    forwarder = Forwarder(private=False, resolve=Names("93.184.215.14"))
    for host in ("127.0.0.1", "169.254.169.254", "::1"):
        to = Target("https", host, 443, "")
        assert refused(lambda to=to: forwarder.send(call(to), SECONDS))[0] == 502  # type: ignore[misc]


def test_a_name_that_does_not_resolve() -> None:
    forwarder = Forwarder(private=True, resolve=Names())
    to = target("http://nowhere.example", True)
    assert refused(lambda: forwarder.send(call(to), SECONDS)) == (502, "upstream_unreachable")


def test_what_was_checked_is_connected_to_whatever_the_name_says_next(upstream: Upstream) -> None:
    names = Names("127.0.0.1")
    forwarder = Forwarder(private=True, resolve=names)
    to = Target("http", "rebound.example", upstream.port, "")
    for _ in range(2):
        assert forwarder.send(call(to), SECONDS).status == 200
        names.addresses = ["169.254.169.254"]
    assert names.asked == ["rebound.example"]
    assert upstream.connections == 1
    assert upstream.seen[0].header("host") == f"rebound.example:{upstream.port}"


def test_where_one_address_takes_no_connection_the_next_does(upstream: Upstream) -> None:
    forwarder = Forwarder(private=True, resolve=Names("127.0.0.1", "127.0.0.1"))
    with Upstream() as closed:
        port = closed.port
    to = Target("http", "a.example", port, "")
    assert refused(lambda: forwarder.send(call(to), SECONDS)) == (502, "upstream_unreachable")


# ---- TLS -----------------------------------------------------------------------------------------


class Authority:
    """Who vouches for names in these tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._issued(self._key, x509.DNSName("tests"), authority=True))

    def server(self, *names: x509.GeneralName) -> ssl.SSLContext:
        """What a server shows that has these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        shown = self._folder / "server.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        shown.write_bytes(secret + self._issued(key, *names))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown)
        return context

    def trusted(self) -> ssl.SSLContext:
        """What a client goes by that trusts it."""
        return ssl.create_default_context(cafile=str(self.file))

    def _issued(
        self, key: ec.EllipticCurvePrivateKey, *names: x509.GeneralName, authority: bool = False
    ) -> bytes:
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(_named("authority" if authority else "server"))
            .issuer_name(_named("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return signed.public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Upstream]:
    """A server that is good.example."""
    with Upstream(authority.server(x509.DNSName("good.example"))) as running:
        yield running


def test_a_certificate_is_of_the_name_and_not_of_the_address(
    secure: Upstream, authority: Authority
) -> None:
    forwarder = Forwarder(True, Names("127.0.0.1"), authority.trusted)
    good, other = (Target("https", f"{n}.example", secure.port, "") for n in ("good", "other"))
    assert forwarder.send(call(good), SECONDS).status == 200
    assert refused(lambda: forwarder.send(call(other), SECONDS)) == (502, "upstream_unreachable")
    assert [seen.header("host") for seen in secure.seen] == [f"good.example:{secure.port}"]


def test_a_certificate_that_nobody_vouches_for_is_none(secure: Upstream) -> None:
    forwarder = Forwarder(True, Names("127.0.0.1"))
    to = Target("https", "good.example", secure.port, "")
    assert refused(lambda: forwarder.send(call(to), SECONDS)) == (502, "upstream_unreachable")
    assert secure.seen == []


def test_an_address_may_have_a_certificate_too(authority: Authority) -> None:
    names = authority.server(x509.IPAddress(IPv4Address("127.0.0.1")))
    forwarder = Forwarder(True, Names(), authority.trusted)
    with Upstream(names) as running:
        to = Target("https", "127.0.0.1", running.port, "")
        assert forwarder.send(call(to), SECONDS).status == 200


# ---- How long ------------------------------------------------------------------------------------


def silent(upstream: Upstream, *before: bytes) -> None:
    """Has it say this, and then nothing until the test is over."""

    def answer(_: object) -> Iterator[bytes]:
        yield from before
        upstream.released.wait()

    upstream.answer = answer


def dripping(upstream: Upstream, head: bytes, drop: bytes) -> None:
    """Has it say something all the time, and never come to an end."""

    def answer(_: object) -> Iterator[bytes]:
        yield head
        while not upstream.released.wait(0.01):
            yield drop

    upstream.answer = answer


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda up: silent(up),
        lambda up: silent(up, HEAD),
        lambda up: silent(up, HEAD + b"content-length: 9\r\n\r\n", b"1"),
        lambda up: dripping(up, HEAD, b"x"),
        lambda up: dripping(up, HEAD + b"content-length: 9999999\r\n\r\n", b"x"),
        lambda up: dripping(up, ENDLESS, b"1\r\nx\r\n"),
    ],
    ids=["nothing", "a line", "half a body", "endless line", "endless body", "endless chunks"],
)
def test_who_does_not_come_to_an_end_in_time_is_not_waited_for(
    upstream: Upstream, spoil: Callable[[Upstream], None]
) -> None:
    spoil(upstream)
    forwarder = Forwarder(private=True)
    to = target(upstream.url, True)
    assert refused(lambda: forwarder.send(call(to), 0.3)) == (504, "upstream_timeout")
    upstream.answer = lambda _: said(b"next")
    assert forwarder.send(call(to), SECONDS).body == b"next"


def test_a_name_server_that_does_not_answer_is_not_waited_for(upstream: Upstream) -> None:
    let_go = Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        let_go.wait()
        return ["127.0.0.1"]

    forwarder = Forwarder(True, resolve)
    to = Target("http", "a.example", upstream.port, "")
    assert refused(lambda: forwarder.send(call(to), 0.05)) == (504, "upstream_timeout")
    let_go.set()


# ---- What for an answer --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 600 Far\r\n\r\n",
        HEAD + b"content-length: 9\r\n\r\nshort",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab",
        HEAD + b"x: " + b"v" * 70_000 + b"\r\n\r\n",
        HEAD + b"".join(b"x-%d: 1\r\n" % n for n in range(150)) + b"\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_whole_response_is_not_passed_on(upstream: Upstream, answer: bytes) -> None:
    upstream.answer = lambda _: [answer]
    forwarder = Forwarder(private=True)
    found = refused(lambda: forwarder.send(call(target(upstream.url, True)), SECONDS))
    assert found == (502, "upstream_malformed")
    upstream.answer = lambda _: said(b"next")
    assert forwarder.send(call(target(upstream.url, True)), SECONDS).body == b"next"


def test_a_second_answer_to_one_request_is_nobodys(upstream: Upstream) -> None:
    forwarder = Forwarder(private=True)
    to = target(upstream.url, True)
    upstream.answer = lambda _: said(b"first") + said(b"smuggled")
    assert forwarder.send(call(to), SECONDS).body == b"first"
    upstream.answer = lambda _: said(b"second")
    assert forwarder.send(call(to), SECONDS).body == b"second"


def test_an_old_fashioned_answer_ends_with_its_connection(upstream: Upstream) -> None:
    upstream.answer = lambda _: [b"HTTP/1.0 200 OK\r\n\r\n", b"to the ", b"end"]
    assert Forwarder(private=True).send(call(target(upstream.url, True)), SECONDS).body == (
        b"to the end"
    )


def test_a_folded_field_is_one_line(upstream: Upstream) -> None:
    upstream.answer = lambda _: HEAD + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n"
    reply = Forwarder(private=True).send(call(target(upstream.url, True)), SECONDS)
    assert ("x", "a b") in reply.headers


def test_as_many_connections_are_kept_as_there_is_room(upstream: Upstream) -> None:
    forwarder = Forwarder(private=True, resolve=Names("127.0.0.1"))
    targets = [Target("http", f"h{n}.example", upstream.port, "") for n in range(25)]
    for to in targets:
        forwarder.send(call(to), SECONDS)
    for to in (targets[-1], targets[0]):
        forwarder.send(call(to), SECONDS)
    assert upstream.connections == 26
