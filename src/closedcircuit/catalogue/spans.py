# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of stretches of time: unions, painting reasons over one another, and the partition that a ledger is.

Integers only, no database: [start, end) pairs in 1/90000 s. Lists are sorted and disjoint unless said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from closedcircuit.model import Cause, Span, SpanKind

Stretch = tuple[int, int]
Reason = tuple[int, int, str, str]
"""start, end, cause, detail."""

_CAUSES = {cause.value: (cause.kind, cause) for cause in Cause}
_UNKNOWN = Cause.UNKNOWN.value


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a camera's seconds in [from_90k, to_90k).

    `spans` touch, cover it exactly and never overlap; so recorded + off + lost = to - from, and the parts of `by_cause`
    add up to off + lost.
    """

    camera: str
    from_90k: int  # as asked for, but not before the camera was added
    to_90k: int  # as asked for, but not after what is decided by now
    spans: tuple[Span, ...]
    recorded_90k: int
    off_90k: int
    lost_90k: int
    by_cause: dict[Cause, int]

    @property
    def total_90k(self) -> int:
        """All of it."""
        return self.to_90k - self.from_90k


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Merge any stretches, in any order, overlapping or not; what touches becomes one, what is empty vanishes."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def clip(stretches: Iterable[Stretch], start_90k: int, end_90k: int) -> list[Stretch]:
    """Return the parts inside [start, end)."""
    inside = ((max(s, start_90k), min(e, end_90k)) for s, e in stretches)
    return [(s, e) for s, e in inside if s < e]


def without(stretches: Iterable[Stretch], taken: Sequence[Stretch]) -> list[Stretch]:
    """Return the parts of `stretches` that no stretch of `taken` (sorted, disjoint) covers."""
    left: list[Stretch] = []
    for start, end in stretches:
        at = start
        for t_start, t_end in taken:
            if t_end <= at:
                continue
            if t_start >= end:
                break
            if t_start > at:
                left.append((at, t_start))
            at = t_end
        if at < end:
            left.append((at, end))
    return left


def paint(under: Sequence[Reason], over: Reason) -> list[Reason]:
    """Lay a newer reason over older ones: its range becomes its own; touching equals become one."""
    start, end = over[:2]
    parts: list[Reason] = [over]
    for u_start, u_end, u_cause, u_detail in under:
        if u_start < start:
            parts.append((u_start, min(u_end, start), u_cause, u_detail))
        if u_end > end:
            parts.append((max(u_start, end), u_end, u_cause, u_detail))
    merged: list[Reason] = []
    for part in sorted(parts):
        if merged and merged[-1][1] == part[0] and merged[-1][2:] == part[2:]:
            merged[-1] = (merged[-1][0], part[1], *part[2:])
        else:
            merged.append(part)
    return merged


def partition(recorded: Sequence[Stretch], reasons: Sequence[Reason], from_90k: int, to_90k: int) -> list[Span]:
    """Return spans that cover [from, to) exactly: recorded wins; else the reason on file; else lost, cause unknown."""
    spans: list[Span] = []
    at, reason = from_90k, 0
    for start, end in clip(recorded, from_90k, to_90k):
        if at < start:
            reason = _explain(spans, reasons, reason, at, start)
        spans.append(Span(start, end, SpanKind.RECORDED, None))
        at = end
    if at < to_90k:
        _explain(spans, reasons, reason, at, to_90k)
    return spans


def _explain(spans: list[Span], reasons: Sequence[Reason], number: int, at: int, until: int) -> int:
    """Append what is on file for [at, until), where nothing is recorded; `reasons` from `number` on can be of it.

    Returns the number to go on with.
    """
    while at < until:
        while number < len(reasons) and reasons[number][1] <= at:
            number += 1
        if number == len(reasons) or reasons[number][0] >= until:
            _put(spans, at, until, _UNKNOWN, "")
            break
        start, end, cause, detail = reasons[number]
        if start > at:
            _put(spans, at, start, _UNKNOWN, "")
            at = start
        end = min(end, until)
        _put(spans, at, end, cause, detail)
        at = end
    return number


def add_up(camera: str, from_90k: int, to_90k: int, spans: Sequence[Span]) -> Ledger:
    """Return the ledger of spans that cover [from, to)."""
    of_kind = dict.fromkeys(SpanKind, 0)
    by_cause: dict[Cause, int] = {}
    for span in spans:
        length = span.end_90k - span.start_90k
        of_kind[span.kind] += length
        if span.cause is not None:
            by_cause[span.cause] = by_cause.get(span.cause, 0) + length
    return Ledger(
        camera=camera,
        from_90k=from_90k,
        to_90k=to_90k,
        spans=tuple(spans),
        recorded_90k=of_kind[SpanKind.RECORDED],
        off_90k=of_kind[SpanKind.OFF],
        lost_90k=of_kind[SpanKind.LOST],
        by_cause=by_cause,
    )


def merge_below(spans: Sequence[Span], pixel_90k: int) -> list[Span]:
    """Merge neighbours shorter than a pixel into the worst of them (lost > off > recorded), for drawing.

    What is at least a pixel long stays as it is, so at most about two spans a pixel are left. A single short span
    between long ones stays too, however short: a loss of a second is never drawn as if it had not been.
    """
    out: list[Span] = []
    begin = end = 0
    worst: Span | None = None  # of the short neighbours in [begin, end)
    for span in spans:
        length = span.end_90k - span.start_90k
        if length < pixel_90k:
            if worst is None:
                begin, worst = span.start_90k, span
            elif _is_worse(span, worst):
                worst = span
            end = span.end_90k
            if end - begin < pixel_90k:
                continue
        if worst is not None:
            _join(out, Span(begin, end, worst.kind, worst.cause, worst.detail))
            worst = None
        if length >= pixel_90k:
            _join(out, span)
    if worst is not None:
        _join(out, Span(begin, end, worst.kind, worst.cause, worst.detail))
    return out


def _is_worse(span: Span, than: Span) -> bool:
    if span.kind is than.kind:
        return span.end_90k - span.start_90k > than.end_90k - than.start_90k
    return span.kind is SpanKind.LOST or than.kind is SpanKind.RECORDED


def _put(spans: list[Span], start: int, end: int, word: str, detail: str) -> None:
    kind, cause = _CAUSES[word]
    _join(spans, Span(start, end, kind, cause, detail))


def _join(spans: list[Span], span: Span) -> None:
    last = spans[-1] if spans else None
    if last and last.cause is span.cause and last.end_90k == span.start_90k and last.detail == span.detail:
        spans[-1] = Span(last.start_90k, span.end_90k, span.kind, span.cause, span.detail)
    else:
        spans.append(span)
