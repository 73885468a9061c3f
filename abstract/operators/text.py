"""Operators on strings: StringConcat, StringNormalizer, StringSplit, RegexFullMatch, TfIdfVectorizer."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least
from abstract.dtypes import Kind, dtype
from abstract.error import SHAPELESS, is_exact, rounding_unit, tainted
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import index_constant, operand, permutation
from abstract.operators.broadcast import binary
from abstract.operators.elementwise import same_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from abstract.graph import Value
    from abstract.types import Shape, Sizes

__all__ = ["OPERATORS", "texts"]

_STRING = dtype("string")
_TEXT = (Kind.STRING,)


def texts(items: Sequence[str], shape: tuple[int, ...]) -> Array:
    """An array of strings."""
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result.reshape(shape)


def _unsure(y: Array, bound: Bound) -> Bound:
    """Nothing is known of what is made from text that may be another."""
    if is_exact(bound):
        return 0.0
    return tainted(y, np.asarray(bound) > 0) if np.shape(bound) in ((), y.shape) else np.inf


def _pair_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    del run
    return (0.0 if all(map(is_exact, e)) else tainted(y[0], (np.asarray(e[0]) > 0) | (np.asarray(e[1]) > 0)),)


# -- StringNormalizer ----------------------------------------------------------------------------------------

_WORDS = ("a", "b", "A", "ab", "Ab", "aB", "foo", "Foo", "FOO", "bar", "", " ", "a b", "0", "x-y")
_ACTIONS = (b"NONE", b"LOWER", b"UPPER")


def _plain(value: Value) -> bool:
    return 0 < value.array.size <= 64 and all(text.isascii() for text in value.array.ravel())


def _ascii(s: Scope, shape: tuple[int, ...]) -> Value:
    """A constant of a few words of ASCII, some of them more than once."""
    words = [s.pick(_WORDS) for _ in range(min(int(np.prod(shape)), 6))]
    return s.constant(texts([words[i * 5 % len(words)] for i in range(int(np.prod(shape)))], shape), _STRING)


def propose_normalizer(s: Scope) -> Call:
    """A line of words, or one row of them; letters of ASCII alone, whose case no locale changes."""
    s.dtype(s.signature.formal(0).variable)  # where the model has no text, there is none of it
    if s.coin(0.5):
        x = operand(s, rank=(1, 1), where=_plain)
    else:
        x = _ascii(s, ((1,) if s.coin(0.4) else ()) + (s.integer(1, 7),))
    params: dict[str, Any] = {}
    if s.coin(0.7):
        params["case_change_action"] = s.pick(_ACTIONS)
    if s.coin(0.6):
        params["is_case_sensitive"] = s.integer(0, 1)
    stopped = s.coin(0.7)
    if stopped:
        stopwords = {s.pick(_WORDS) for _ in range(s.integer(1, 4))}
        if s.coin(0.1):
            stopwords.update(x.array.ravel())
        params["stopwords"] = tuple(word.encode() for word in sorted(stopwords))
    cased = params.get("case_change_action", b"NONE") != b"NONE"
    if cased or (stopped and not params.get("is_case_sensitive", 0)) or s.coin(0.3):
        params["locale"] = b"C"  # the only one that every machine has
    return Call((x,), params)


def normalizer_shape(t: Typing) -> tuple[Sizes, ...]:
    """As many words as are left, at least one; one row remains one row."""
    if len(t[0]) not in (1, 2):
        raise NotCovered("StringNormalizer of a tensor that is no line of words")
    if len(t[0]) == 2:
        t.store.unify(t[0][0], 1)
    return ((*t[0][:-1], None),)


def normalizer(run: Run) -> tuple[Array, ...]:
    """Words that are no stopwords, their case changed; one empty word where none is left."""
    x, stopwords = run[0], _decoded(run.params.get("stopwords", ()))
    if run.params.get("is_case_sensitive", 0):
        kept = [word for word in x.ravel() if word not in stopwords]
    else:
        folded = {word.lower() for word in stopwords}
        kept = [word for word in x.ravel() if word.lower() not in folded]
    action = run.params.get("case_change_action", b"NONE")
    if action != b"NONE":
        kept = [word.lower() if action == b"LOWER" else word.upper() for word in kept]
    kept = kept or [""]
    return (texts(kept, (*x.shape[:-1], len(kept))),)


def _decoded(words: Iterable[bytes]) -> frozenset[str]:
    return frozenset(word.decode() for word in words)


def normalizer_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Not even how many words remain is sure of words that are not."""
    del run, y
    return (0.0 if is_exact(e[0]) else SHAPELESS,)


# -- StringSplit ---------------------------------------------------------------------------------------------


def propose_split(s: Scope) -> Call:
    """Parts at a delimiter of one or two letters, or at blanks; as many as there are, or fewer.

    Not of empty text at a delimiter (hazard split-nothing), nor a limit at blanks where the rest ends in some
    (split-blank-rest).
    """
    x = operand(s, rank=(0, 7), where=lambda v: 0 < v.array.size <= 64)
    params: dict[str, Any] = {}
    if s.coin(0.7) and all(x.array.ravel()):
        params["delimiter"] = s.pick((b",", b" ", b"a", b"b", b"ab", b"", b",,", "é".encode(), "😀".encode()))
    blank = not params.get("delimiter")
    limited = not blank or all(text == text.rstrip() for text in x.array.ravel())
    if limited and s.coin(0.4):
        params["maxsplit"] = s.integer(1, 3)
    return Call((x,), params, outputs=2)


def split_shape(t: Typing) -> tuple[Sizes, ...]:
    """One more axis, as long as the most parts; and the number of parts of each."""
    return ((*t[0], None), t[0])[: t.outputs]


def split(run: Run) -> tuple[Array, ...]:
    """Parts between delimiters, filled up with empty ones, and how many each has.

    Raises NotCovered for nothing at all, whose last axis is open.
    """
    x = run[0]
    delimiter, most = run.params.get("delimiter", b"").decode() or None, run.params.get("maxsplit")
    if not x.size:
        raise NotCovered("StringSplit of no text")
    parts = [text.split(delimiter, -1 if most is None else most) for text in x.ravel()]
    longest = max(map(len, parts))
    filled = [part for own in parts for part in (*own, *[""] * (longest - len(own)))]
    counts = np.array([len(own) for own in parts], dtype=np.int64).reshape(x.shape)
    return texts(filled, (*x.shape, longest)), counts


def split_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Text that is unsure may have any number of parts."""
    del run
    return (0.0, 0.0) if is_exact(e[0]) else (SHAPELESS, _unsure(y[1], e[0]))


# -- RegexFullMatch ------------------------------------------------------------------------------------------

_PATTERNS = (
    "a", "", ".*", ".+", ".", "..", "[a-z]+", "[A-Z][a-z]*", "[^a]*", "(a|b)*", "(?:ab)+", "a.*b", "a?b?", r"\d+",
    r"-?\d+(\.\d+)?", r"\w+", r"\w* \w*", r"\s*", "a{1,2}", "[a-c]{2,}", "foo|bar", "(f)(o*)", "é", "日本.?", ".*😀.*",
    r"[\d.-]+", "^a", "b$", "a*?b*", r"\S+@\S+", "[ab]", "x-y.*",
)  # fmt: skip
_APART = re.compile(r"\(\?(?!:)|\\[^dDsSwW.\\+*?()\[\]{}|^$-]|\[\[|\[\^?\]|&&|\}[+{]|[*+?]\+")
"""What engines read differently, or not at all: flags, look-around, classes by name, possessive repetition."""


def propose_match(s: Scope) -> Call:
    """Patterns that RE2 and the engines of other libraries read alike."""
    return Call((operand(s, where=lambda v: v.array.size <= 512),), {"pattern": s.pick(_PATTERNS).encode()})


def match(run: Run) -> tuple[Array, ...]:
    """Whether the whole of each text is what the pattern describes; classes such as ``\\d`` are of ASCII, as in RE2."""
    pattern = run.params.get("pattern")
    if pattern is None or _APART.search(pattern.decode()):
        raise NotCovered(f"RegexFullMatch of {pattern!r}")
    wanted = re.compile(pattern.decode(), re.ASCII)
    if any("\n" in text for text in run[0].ravel()):
        raise NotCovered("RegexFullMatch of text with line breaks")
    found = [wanted.fullmatch(text) is not None for text in run[0].ravel()]
    return (np.array(found, dtype=np.bool_).reshape(run[0].shape),)


def match_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Unsure where the text is."""
    del run
    return (_unsure(y[0], e[0]),)


# -- TfIdfVectorizer -----------------------------------------------------------------------------------------

_TOKENS = ("a", "b", "A", "ab", "", "foo", "é")


def propose_vectorizer(s: Scope) -> Call:
    """n-grams of up to three tokens, skips, weights; the pool has some that occur and some that do not.

    Where the n-grams' places are permuted there are no weights: whether a weight goes with the n-gram or with the place
    is open (hazard ngram-weights).
    """
    text = s.dtype(s.signature.formal(0).variable).kind is Kind.STRING
    tokens: tuple[Any, ...] = _TOKENS[: s.integer(2, 7)] if text else tuple(range(s.integer(2, 6)))
    rank, length = s.integer(1, 2), s.integer(3, 8)
    x = _tokens(s, tokens, (s.integer(1, 3),) * (rank - 1) + (length,))
    longest = s.integer(1, 3)
    grams = _grams(s, tokens, longest)
    pool = [token for own in grams for gram in own for token in gram]
    counts = [0]
    for n, own in enumerate(grams[:-1], 1):
        counts.append(counts[-1] + n * len(own))
    number = sum(map(len, grams))
    places = permutation(s, number) if s.coin(0.5) else list(range(number))
    params: dict[str, Any] = {
        "mode": s.pick((b"TF", b"IDF", b"TFIDF")), "min_gram_length": s.integer(1, longest), "max_gram_length": longest,
        "max_skip_count": s.integer(0, 2), "ngram_counts": tuple(counts), "ngram_indexes": tuple(places),
    }  # fmt: skip
    params["pool_strings" if text else "pool_int64s"] = tuple(t.encode() for t in pool) if text else tuple(pool)
    if places == sorted(places) and s.coin(0.6):
        params["weights"] = tuple(float(s.pick((0.5, 1.0, 2.0, 0.25, 0.1))) for _ in range(number))
    return Call((x,), params)


def _tokens(s: Scope, tokens: tuple[Any, ...], shape: tuple[int, ...]) -> Value:
    """Numbers that exist, or a constant of tokens."""
    text = isinstance(tokens[0], str)
    if s.coin(0.3):
        return operand(s, rank=(1, 2), where=lambda v: 0 < v.array.size <= 64)
    count = int(np.prod(shape))
    start, step = s.integer(0, len(tokens) - 1), s.integer(1, 5)
    drawn = [tokens[(start + i * step + i * i) % len(tokens)] for i in range(count)]
    return s.constant(texts(drawn, shape), _STRING) if text else index_constant(s, 0, np.array(drawn).reshape(shape))


def _grams(s: Scope, tokens: tuple[Any, ...], longest: int) -> list[list[tuple[Any, ...]]]:
    """For each length, from one to four different n-grams."""
    return [
        sorted({tuple(s.pick(tokens) for _ in range(n)) for _ in range(s.integer(1, 4))})
        for n in range(1, longest + 1)
    ]  # fmt: skip


def vectorizer_shape(t: Typing) -> tuple[Shape, ...]:
    """As long as the last place that an n-gram has; a row for each row."""
    if len(t[0]) not in (1, 2):
        raise NotCovered("TfIdfVectorizer of other than rows of tokens")
    t.store.require(at_least(t[0][-1], 1))
    return ((*t[0][:-1], max(t.params["ngram_indexes"]) + 1),)


def _pool(params: Params) -> dict[tuple[Any, ...], int]:
    """Each n-gram's position in the pool, in the order in which the pool lists them."""
    given = params.get("pool_int64s") or tuple(word.decode() for word in params.get("pool_strings") or ())
    known: dict[tuple[Any, ...], int] = {}
    edges = (*params["ngram_counts"], len(given))
    position = 0
    for n, (start, end) in enumerate(pairwise(edges), 1):
        for first in range(start, end, n):
            known[tuple(given[first : first + n])] = position
            position += 1
    return known


def vectorizer(run: Run) -> tuple[Array, ...]:
    """How often each n-gram occurs, its tokens next to each other or as far apart as skips allow, times its weight."""
    x, params = run[0], run.params
    places, weights, mode = params["ngram_indexes"], params.get("weights"), params["mode"]
    if weights and tuple(places) != tuple(range(len(weights))):
        raise NotCovered("TfIdfVectorizer with weights and other places")
    known = _pool(params)
    counts = np.zeros((*x.shape[:-1], max(places) + 1))
    rows = x.reshape(-1, x.shape[-1])
    for row, own in zip(rows.tolist(), counts.reshape(len(rows), -1), strict=True):
        for n in range(params["min_gram_length"], params["max_gram_length"] + 1):
            # A single token has no neighbour to skip to.
            for step in range(1, params["max_skip_count"] + 2 if n > 1 else 2):
                for start in range(len(row) - (n - 1) * step):
                    at = known.get(tuple(row[start : start + (n - 1) * step + 1 : step]))
                    if at is not None:
                        own[places[at]] += 1
    if mode == b"IDF":
        counts = np.minimum(counts, 1)
    return (counts if mode == b"TF" or not weights else counts * np.array(weights),)


def vectorizer_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Counts are exact; weights may be added one by one. Nothing is known of a row with an unsure token."""
    weights = run.params.get("weights") if run.params["mode"] == b"TFIDF" else None
    if is_exact(e[0]):
        unit = rounding_unit(run, run.output_dtypes[0])
        return (np.abs(y[0] * y[0] / np.array(weights)) * unit if weights and all(weights) else 0.0,)
    unsure = np.broadcast_to(np.asarray(e[0]) > 0, run[0].shape)
    return (tainted(y[0], np.logical_or.reduce(unsure, axis=-1, keepdims=True)),)


OPERATORS: tuple[Operator, ...] = (
    binary("StringConcat", lambda a, b, _: np.add(a, b, dtype=object), _pair_error, kinds=_TEXT, exact=True,
           weight=2.0),
    Operator("StringNormalizer", propose_normalizer, normalizer_shape, normalizer, normalizer_error, exact=True,
             weight=0.5),
    Operator("StringSplit", propose_split, split_shape, split, split_error, exact=True, since=20, weight=1.5),
    Operator("RegexFullMatch", propose_match, same_shape, match, match_error, exact=True, since=20, weight=1.5),
    Operator("TfIdfVectorizer", propose_vectorizer, vectorizer_shape, vectorizer, vectorizer_error, weight=0.5),
)  # fmt: skip
