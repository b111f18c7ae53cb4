"""Turns text into vectors on the spot: TF-IDF weights, then a truncated SVD, in numpy alone.

Words that occur together come to point the same way, so a question finds what answers it in other
words. The model is a table of one direction per term; a text's vector is their weighted sum.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

DIMENSIONS = 384
TERMS_MAX = 6000
PASSES = 3
CHUNK = 1024

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
STOP_WORDS = """
a all also an and any are as at be been but by can do does for from given has have how i if in into is it
its may must my no not of on only or other self should so some such than that the their then there these
this to used uses using was we what when where which will with would you your return returns none true false
default cls args kwargs value object class method function see use
"""
STOP = frozenset(STOP_WORDS.split())


@dataclass(frozen=True)
class Model:
    """What was learned: each known term, how telling it is, and the direction it points in."""

    terms: list[str]
    weights: Matrix
    directions: Matrix


def words(text: str) -> list[str]:
    """Lower-case stems of a text: ``readLines`` and ``reading lines`` become the same two words."""
    found = (word.lower() for word in WORD.findall(text))
    return [_stem(word) for word in found if len(word) > 1 and word not in STOP]


def combine(counts: Counter[str], weights: dict[str, float], directions: dict[str, Matrix]) -> Matrix:
    """The unit vector of a text from its terms: the same sum that :func:`fit` makes for all texts at once."""
    total = np.zeros(DIMENSIONS, np.float32)
    for term in sorted(weights):
        total += (1 + np.log(counts[term])) * weights[term] * directions[term]
    return total / max(float(np.linalg.norm(total)), 1e-12)


def fit(texts: Sequence[str], progress: Callable[[Iterable[int], str, int], Iterable[int]]) -> tuple[Model, Matrix]:
    """Learn a model from all texts and return it with one unit vector per text."""
    counts = [Counter(words(text)) for text in texts]
    spread = Counter(term for count in counts for term in count)
    terms = [term for term, texts_with in spread.most_common(TERMS_MAX) if texts_with > 1]
    weights = np.log(len(texts) / np.array([spread[term] for term in terms])).astype(np.float32) + 1
    rows = _Rows(counts, terms, weights)

    basis = np.random.default_rng(7).standard_normal((len(terms), min(DIMENSIONS, len(terms)))).astype(np.float32)
    for _ in progress(range(PASSES), "learning what words mean", PASSES):
        basis, _ = np.linalg.qr(sum(chunk.T @ (chunk @ basis) for chunk in rows.chunks()))
    directions = np.zeros((len(terms), DIMENSIONS), np.float32)
    directions[:, : basis.shape[1]] = basis
    vectors = np.concatenate([_unit(chunk @ directions) for chunk in rows.chunks()])
    return Model(terms, weights, directions), vectors


class _Rows:
    """The weighted term counts of all texts, kept sparse and made dense one chunk at a time."""

    def __init__(self, counts: list[Counter[str]], terms: list[str], weights: Matrix) -> None:
        """Lay the counts out as one run of (column, value) for each text."""
        column = {term: index for index, term in enumerate(terms)}
        known = [{column[term]: times for term, times in count.items() if term in column} for count in counts]
        self._starts = np.cumsum([0, *(len(row) for row in known)])
        self._columns = np.array([index for row in known for index in row], np.int64)
        times = np.array([times for row in known for times in row.values()], np.float32)
        self._values = (1 + np.log(times)) * weights[self._columns]
        self._width = len(terms)

    def chunks(self) -> Iterator[Matrix]:
        """Dense blocks of unit rows, in order."""
        texts = len(self._starts) - 1
        for first in range(0, texts, CHUNK):
            last = min(first + CHUNK, texts)
            run = slice(self._starts[first], self._starts[last])
            lengths = np.diff(self._starts[first : last + 1])
            block = np.zeros((last - first, self._width), np.float32)
            block[np.repeat(np.arange(last - first), lengths), self._columns[run]] = self._values[run]
            yield _unit(block)


def _unit(rows: Matrix) -> Matrix:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))


def _stem(word: str) -> str:
    for ending, least in (("ing", 6), ("ies", 5), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word
