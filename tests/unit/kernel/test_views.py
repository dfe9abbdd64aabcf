from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.readers import newest_of_each
from functions.kernel.store import Commit, Metadata

COMMITS = st.builds(
    lambda stream, after: Commit(stream, after - 1, after, "", "[]", Metadata(0)),
    st.sampled_from("abc"),
    st.integers(1, 9),
)


@given(st.lists(COMMITS))
def test_of_each_stream_the_commit_that_leads_furthest_stays(commits: list[Commit]) -> None:
    newest = {commit.stream: commit.after for commit in newest_of_each(commits)}
    assert newest == {
        stream: max(commit.after for commit in commits if commit.stream == stream)
        for stream in {commit.stream for commit in commits}
    }
    assert len(newest) == len(newest_of_each(commits))
