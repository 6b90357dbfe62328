"""Judging a cache by pairs: what is counted, what a bad line says, and the drawing."""

from __future__ import annotations

import gzip
import json
from xml.etree import ElementTree as ET

import pytest

from penstock_suite.domain.cache_evaluation import Opinion, Pair, Seen, evaluation, judge, read_pairs
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.trade_off_plot import trade_off_svg
from penstock_suite.surfaces.cli.evaluate import _missed

PAIRS = [
    Pair("1", "How old is Ada?", "What is Ada's age?", same_answer=True, kind="reorder"),
    Pair("2", "How old is Bob?", "What age is Bob?", same_answer=True, kind="reorder"),
    Pair("3", "30 days?", "45 days?", same_answer=False, kind="number"),
    Pair("4", "To Rome?", "From Rome?", same_answer=False, kind="direction"),
]


class Scripted:
    """Serves the answers that it is told to; what it was taught it serves from then on."""

    def __init__(self, served):
        self.served = dict(served)
        self.calls = []

    async def store(self, pair):
        self.calls.append(("store", pair.id))
        return True

    async def look_up(self, pair):
        self.calls.append(("ask", pair.id))
        served = self.served.get(pair.id, "")
        return Seen(served, "" if served else "cold", float(pair.id))

    async def teach(self, pair):
        self.served[pair.id] = pair.id if pair.same_answer else f"not-{pair.id}"

    async def explain(self, pair):
        return Opinion(0.9, 0.95 if pair.same_answer else 0.2, served=pair.id in self.served, reason="")


async def found(served, **options):
    return evaluation(await judge(Scripted(served), PAIRS, **options), {"dataset": "d"})


async def test_hits_are_counted_by_what_they_should_have_been():
    told = await found({"1": "1", "3": "3"})
    assert (told.pairs, told.true_pairs, told.false_pairs, told.hits) == (4, 2, 2, 2)
    assert (told.served_true_ratio, told.false_of_hits_ratio, told.precision) == (0.5, 0.5, 0.5)
    assert told.by_kind["number"].served_false == told.by_kind["reorder"].served_true == 1
    assert told.reasons == {"cold": 1}
    assert (told.p50_ms, told.p95_ms) == (3.0, 4.0)
    assert told.unlike_explain == 0


async def test_another_pairs_answer_is_a_false_hit_and_serves_nothing():
    told = await found({"1": "2"})
    assert (told.served_true_ratio, told.false_of_hits_ratio) == (0.0, 1.0)


async def test_without_hits_nothing_is_known_of_them():
    told = await found({})
    assert (told.hits, told.false_of_hits_ratio, told.precision) == (0, None, None)
    assert told.intervals["false_of_hits_ratio"].low is None


@pytest.mark.parametrize(("together", "first"), [(True, ["store"] * 4 + ["ask"] * 4), (False, ["store", "ask"] * 4)])
async def test_pairs_are_by_themselves_or_together(together, first):
    cache = Scripted({})
    await judge(cache, PAIRS, together=together)
    assert [what for what, _ in cache.calls] == first


async def test_warm_is_what_was_learned():
    told = await found({}, warm=True)
    # What is answered afresh is right, and not the pair's own answer where that would be wrong.
    assert told.served_true_ratio == 1.0


async def test_curves_are_of_scores_and_cosines():
    told = await found({})
    assert [(point.served_true_ratio, point.false_of_hits_ratio) for point in told.curve[:1]] == [(1.0, 0.0)]
    at = {point.threshold: point.false_of_hits_ratio for point in told.baseline}
    assert (at[0.8], at[0.95]) == (0.5, None)


async def test_the_drawing_is_svg_with_both_curves():
    root = ET.fromstring(trade_off_svg(await found({"1": "1"}), "a < b"))  # noqa: S314 - our own
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert "a < b" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


async def test_bounds_that_are_missed_are_told():
    told = await found({"1": "1", "3": "3"})
    assert _missed(told, 0.5, 0.5) == []
    assert len(_missed(told, 0.49, 0.51)) == 2
    assert _missed(await found({}), 0.0, None) == []


LINE = {"id": "x", "a": "one", "b": "two", "same_answer": True, "kind": "k"}


def packed(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dataset_is_read_as_it_is_or_unpacked(pack):
    assert read_pairs(pack(packed(LINE, "", {**LINE, "id": "y"}))) == [
        Pair("x", "one", "two", True, "k"), Pair("y", "one", "two", True, "k"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", {**LINE, "same_answer": "yes"}, {**LINE, "a": " "}, {"a": "x", "b": "y"}, {**LINE, "kind": 3}, LINE],
    ids=str,
)
def test_a_line_that_is_no_pair_is_named(bad):
    with pytest.raises(Misconfigured, match="line 3"):
        read_pairs(packed(LINE, "", bad))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x1f\x8bnot packed"])
def test_a_file_without_pairs_is_refused(content):
    with pytest.raises(Misconfigured, match="dataset"):
        read_pairs(content)
