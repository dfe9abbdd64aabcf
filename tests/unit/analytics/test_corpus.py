"""What analytics ever stored stays readable."""

from __future__ import annotations

from functions.analytics.decider import DECIDER
from tests.unit.corpus_contract import Corpus, CorpusContract


class TestCorpus(CorpusContract):
    decider = DECIDER
    corpus = Corpus(__file__)
