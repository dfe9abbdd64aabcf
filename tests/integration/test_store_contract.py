"""What every EventStore must do, held to the one in memory and the one on DynamoDB.

tests/e2e holds the same suite to DynamoDB on the emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import uuid4

import botocore.session
import pytest
from moto import mock_aws

from functions.kernel.backoff import Backoff
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import CommitTooLarge, Conflict
from functions.kernel.memory import MemoryStore
from functions.kernel.store import MAX_COMMIT_BYTES, Commit, EventStore, Metadata

Reads = Callable[[], int]


def commit(before: int = 0, after: int | None = None, **fields: Any) -> Commit:
    """A commit of one event, or as many as lead to `after`; its id tells its place."""
    standard = Commit(
        stream="s",
        before=before,
        after=before + 1 if after is None else after,
        id=f"c{before}",
        events='[["E",1,{}]]',
        metadata=Metadata(at=before),
    )
    return replace(standard, **fields)


def largest(before: int = 0, **fields: Any) -> Commit:
    """The largest commit that may be stored."""
    return commit(before, events="e" * MAX_COMMIT_BYTES, **fields)


class StoreContract:
    """The suite. A subclass gives the fixture `store`."""

    @pytest.fixture
    def store(self) -> EventStore:
        raise NotImplementedError

    def test_a_commit_takes_a_free_place(self, store: EventStore) -> None:
        assert store.append(commit()) is None
        assert list(store.backward("s", limit=1)) == [commit()]

    def test_a_taken_place_gives_the_commit_that_stands_there(self, store: EventStore) -> None:
        first = commit(id="first", events='[["E",1,{"n":1}]]', ring=b"\x00\xff", snapshot="[1,{}]")
        store.append(first)
        assert store.append(commit(id="second")) == first
        assert list(store.backward("s", limit=9)) == [first]

    def test_our_own_commit_that_stands_there_already_is_a_success(self, store: EventStore) -> None:
        store.append(commit())
        assert store.append(commit()) is None
        assert list(store.backward("s", limit=9)) == [commit()]

    def test_streams_do_not_see_each_other(self, store: EventStore) -> None:
        for stream in ("s", "s#", "t"):
            assert store.append(commit(stream=stream)) is None
        assert list(store.backward("s", limit=9)) == [commit()]
        assert store.forward("s", limit=9) == ([commit()], False)

    @pytest.mark.parametrize(
        "stored",
        [
            pytest.param(commit(), id="bare"),
            pytest.param(commit(ring=bytes(range(256))), id="binary-ring"),
            pytest.param(commit(snapshot='[1,{"ü":"\U0001f30d"}]'), id="snapshot"),
            pytest.param(commit(events='[["E",1,{"a":"ü\\u0000"}]]'), id="unicode-events"),
            pytest.param(
                commit(metadata=Metadata(1793491200000, "alice", "acme", "corr-1", "cause-1")),
                id="metadata",
            ),
            pytest.param(commit(metadata=Metadata(0)), id="time-zero"),
            pytest.param(commit(9, 16), id="several-events-in-the-middle"),
            pytest.param(largest(), id="largest"),
        ],
    )
    def test_a_commit_is_read_as_it_was_written(self, store: EventStore, stored: Commit) -> None:
        store.append(stored)
        assert list(store.backward("s", limit=1)) == [stored]
        assert store.forward("s", limit=1) == ([stored], False)

    @pytest.mark.parametrize("limit", [1, 3, 200])
    @pytest.mark.parametrize("consistent", [True, False], ids=["strong", "eventual"])
    def test_backward_goes_from_the_newest_down_beyond_its_first_page(
        self, store: EventStore, limit: int, consistent: bool
    ) -> None:
        commits = [commit(place) for place in range(0, 24, 2)]
        for each in commits:
            store.append(each)
        found = store.backward("s", limit=limit, consistent=consistent)
        assert list(found) == commits[::-1]

    @pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 99])
    def test_backward_starts_below_a_place(self, store: EventStore, before: int) -> None:
        commits = [commit(0, 2), commit(2, 3), commit(3, 7)]
        for each in commits:
            store.append(each)
        expected = [each for each in commits[::-1] if each.before < before]
        assert list(store.backward("s", before=before, limit=1)) == expected

    def test_places_are_ordered_as_numbers(self, store: EventStore) -> None:
        for place in (9, 100, 10):
            store.append(commit(place))
        assert [each.before for each in store.backward("s", limit=9)] == [100, 10, 9]

    @pytest.mark.parametrize("after", [0, 1, 2, 3, 7])
    def test_forward_starts_at_a_place(self, store: EventStore, after: int) -> None:
        commits = [commit(0, 2), commit(2, 3), commit(3, 7)]
        for each in commits:
            store.append(each)
        expected = [each for each in commits if each.before >= after]
        assert store.forward("s", after=after, limit=9) == (expected, False)

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
    def test_forward_says_if_there_is_more(self, store: EventStore, limit: int) -> None:
        commits = [commit(place) for place in range(5)]
        for each in commits:
            store.append(each)
        assert store.forward("s", limit=limit) == (commits[:limit], limit < 5)

    def test_big_commits_come_in_pages_and_none_is_lost(self, store: EventStore) -> None:
        commits = [largest(place) for place in range(20)]
        for each in commits:
            store.append(each)
        assert list(store.backward("s", limit=50)) == commits[::-1]
        found, more = store.forward("s", limit=50)
        while more:
            page, more = store.forward("s", after=found[-1].after, limit=50)
            found += page
        assert found == commits

    def test_a_stream_that_does_not_exist_has_no_commits(self, store: EventStore) -> None:
        assert list(store.backward("s", limit=1)) == []
        assert store.forward("s", limit=1) == ([], False)


class TestInMemory(StoreContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryStore()


class DynamoContract(StoreContract):
    """The suite and what concerns DynamoDB alone. A subclass gives the fixture `client`."""

    @pytest.fixture
    def client(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def store(self, client: Any) -> Iterator[DynamoStore]:
        """A store on a table of its own."""
        table = f"events-{uuid4().hex}"
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield DynamoStore(client, table)
        client.delete_table(TableName=table)

    @pytest.fixture
    def reads(self, client: Any) -> Reads:
        """Counts the queries from here on."""
        sent: list[object] = []
        client.meta.events.register(
            "provide-client-params.dynamodb.Query", lambda **_: sent.append(1)
        )
        return lambda: len(sent)

    @pytest.mark.parametrize("limit", [1, 4])
    def test_a_caller_that_stops_within_the_limit_pays_one_query(
        self, store: DynamoStore, reads: Reads, limit: int
    ) -> None:
        for place in range(9):
            store.append(commit(place))
        found = list(islice(store.backward("s", limit=limit), limit))
        assert [each.before for each in found] == list(range(9))[::-1][:limit]
        assert reads() == 1

    def test_a_caller_that_reads_nothing_pays_nothing(
        self, store: DynamoStore, reads: Reads
    ) -> None:
        store.backward("s", limit=1)
        assert reads() == 0

    def test_beyond_the_first_page_pages_are_long(self, store: DynamoStore, reads: Reads) -> None:
        for place in range(60):
            store.append(commit(place))
        assert len(list(store.backward("s", limit=1))) == 60
        assert reads() == 2

    def test_a_page_of_a_megabyte_ends_early(self, store: DynamoStore, reads: Reads) -> None:
        for place in range(20):
            store.append(largest(place))
        found, more = store.forward("s", limit=50)
        assert 0 < len(found) < 20
        assert more
        assert len(list(store.backward("s", limit=50))) == 20
        assert reads() >= 3

    def test_forward_is_one_query(self, store: DynamoStore, reads: Reads) -> None:
        for place in range(9):
            store.append(commit(place))
        store.forward("s", limit=3)
        assert reads() == 1

    def test_a_transaction_in_the_way_is_waited_for_boundedly(self, client: Any) -> None:
        slept: list[float] = []
        conflict = client.exceptions.TransactionConflictException(
            {"Error": {"Code": "TransactionConflictException"}}, "PutItem"
        )
        client.meta.events.register(
            "provide-client-params.dynamodb.PutItem", lambda **_: _raise(conflict)
        )
        store = DynamoStore(client, "any", Backoff(attempts=3, sleep=slept.append))
        with pytest.raises(Conflict):
            store.append(commit())
        assert len(slept) == 2


class TestOnMoto(DynamoContract):
    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with mock_aws():
            yield botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        pytest.param({"events": "e" * MAX_COMMIT_BYTES}, True, id="at-the-limit"),
        pytest.param({"events": "e" * (MAX_COMMIT_BYTES + 1)}, False, id="above"),
        pytest.param({"events": "ü" * (MAX_COMMIT_BYTES // 2 + 1)}, False, id="counts-bytes"),
        pytest.param(
            {"events": "e" * MAX_COMMIT_BYTES, "snapshot": "s"}, False, id="counts-the-snapshot"
        ),
    ],
)
def test_a_commit_has_a_size_limit(fields: dict[str, str], fits: bool) -> None:
    sized = replace(commit(), **fields)  # type: ignore[arg-type]
    if fits:
        sized.check_size()
    else:
        with pytest.raises(CommitTooLarge):
            sized.check_size()
