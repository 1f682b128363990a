# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit footage ...`: what there is, what is missing and why, opening it in bulk, rebuilding the index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from closedcircuit.app import DataFolder, load_settings
from closedcircuit.base import TICKS, SystemClock, SystemIds, iso, parse_iso
from closedcircuit.base.errors import ConfigError, NotFound
from closedcircuit.cli.place import DataOption, JsonOption, data_folder, print_json, print_table

app = typer.Typer(
    help="List, open, hold and account for footage; rebuild its index.", no_args_is_help=True, rich_markup_mode=None
)

CameraArgument = Annotated[str, typer.Argument(help="The camera's id.")]
TIME_HELP = "2026-11-21T22:00Z; without Z or an offset: this machine's local time."
FromArgument = Annotated[str, typer.Argument(help=TIME_HELP, metavar="FROM")]
ToArgument = Annotated[str, typer.Argument(help=TIME_HELP, metavar="TO")]
StreamOption = Annotated[str, typer.Option("--stream", help="main or sub.")]


@app.command("list")
def list_(
    camera: CameraArgument,
    from_: FromArgument = "",
    to: ToArgument = "",
    stream: StreamOption = "main",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files of a camera.

    Example: closedcircuit footage list shop-floor 2026-11-21T22:00Z 2026-11-21T23:00Z
    """
    catalogue = _catalogue(data_folder(data))
    begin, end = _times(from_ or "1970-01-01T00:00Z", to)
    found = catalogue.segments(camera, stream, begin, end, limit=100_000, fragments=False)
    facts = [
        {
            "start": iso(s.start_90k),
            "seconds": (s.end_90k - s.start_90k) / TICKS,
            "bytes": s.size_bytes,
            "kid": s.kid.hex(),
            "disk": s.disk,
            "finished": s.sha256 is not None,
            "sha256": s.sha256.hex() if s.sha256 else None,
        }
        for s in found
    ]
    if as_json:
        print_json(facts)
    elif not facts:
        print(f"Nothing of {camera} is recorded there.")
    else:
        rows = [[f["start"], f"{f['seconds']:.1f} s", f"{f['bytes'] / 1e6:.1f} MB", f["kid"]] for f in facts]
        print_table(["START", "LENGTH", "SIZE", "KID"], rows)


@app.command("ledger")
def ledger(
    camera: CameraArgument,
    from_: FromArgument = "",
    to: ToArgument = "",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Account for every second of a camera: recorded, deliberately not, or lost and why. The sum is exact.

    Without times: the last day.

    Example: closedcircuit footage ledger shop-floor --json
    """
    folder = data_folder(data)
    begin, end = _times(from_ or iso(SystemClock().now_90k() - 86_400 * TICKS), to)
    found = _catalogue(folder).ledger(camera, begin, end)
    spans = [
        {
            "from": iso(s.start_90k),
            "to": iso(s.end_90k),
            "kind": str(s.kind),
            "cause": s.cause and str(s.cause),
            "detail": s.detail,
        }
        for s in found.spans
    ]
    total = found.recorded_90k + found.off_90k + found.lost_90k
    if as_json:
        print_json(
            {
                "camera": camera,
                "recorded_90k": found.recorded_90k,
                "off_90k": found.off_90k,
                "lost_90k": found.lost_90k,
                "total_90k": total,
                "by_cause_90k": {str(cause): ticks for cause, ticks in found.by_cause.items()},
                "spans": spans,
            }
        )
        return
    rows = [[s["from"], s["to"], str(s["kind"]), str(s["cause"] or ""), s["detail"]] for s in spans]
    print_table(["FROM", "TO", "KIND", "CAUSE", "DETAIL"], rows)
    recorded, off, lost = (ticks / TICKS for ticks in (found.recorded_90k, found.off_90k, found.lost_90k))
    print(f"\n{recorded:.3f} s recorded + {off:.3f} s off + {lost:.3f} s lost = {total / TICKS:.3f} s")


@app.command("unlock")
def unlock(
    camera: CameraArgument,
    from_: FromArgument,
    to: ToArgument,
    identity: Annotated[Path, typer.Option("--identity", help="A file with the owner's or the recovery identity.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")] = Path(),
    stream: StreamOption = "main",
    footage: Annotated[
        list[Path] | None, typer.Option("--footage", help="Disks to read instead of those of the data folder.")
    ] = None,
    keys: Annotated[Path | None, typer.Option("--keys", help="The keys folder, where it is elsewhere.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn sealed footage into ordinary MP4 files, without encoding it again. Needs no index and no running site.

    Example: closedcircuit footage unlock till 2026-11-21T22:00Z 2026-11-21T23:00Z --identity identity.txt --out clips
    """
    from closedcircuit.playback.unlock import Request, unlock_footage
    from closedcircuit.vault import read_identities

    facts: Path | None = None
    if footage and keys:
        roots, keys_dir = tuple(footage), keys
    else:
        folder = data_folder(data)
        disks = load_settings(folder.root).disks(folder.root)
        roots = tuple(footage or (Path(disk.path) for disk in disks))
        keys_dir = keys or folder.keys
        facts = folder.facts if folder.facts.is_file() else None
    begin, end = _times(from_, to)
    out.mkdir(parents=True, exist_ok=True)
    request = Request(camera=camera, stream=stream, from_90k=begin, to_90k=end)
    report = unlock_footage(request, roots, keys_dir, read_identities(identity), out, _hashes(facts, request))
    if as_json:
        print_json(report)
        return
    for file in report.files:
        print(f"{file.path}  {file.seconds:.1f} s from {file.start}")
    for gap in report.gaps:
        print(f"Not recorded: {gap.start} to {gap.end}, {gap.cause} {gap.detail}".rstrip())
    for problem in report.problems:
        sys.stderr.write(f"{problem}\n")
    if not report.files:
        raise NotFound(f"Nothing of {camera} could be opened there.", remedy=f"closedcircuit footage list {camera}")


@app.command("rebuild")
def rebuild(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Make the index anew from the footage alone. The account, sessions and holds are kept where they can be read.

    Example: closedcircuit footage rebuild
    """
    from closedcircuit.blobs import Disks
    from closedcircuit.catalogue.rebuilding import rebuild as rebuild_index

    folder = data_folder(data)
    supervisor = folder.read_status("supervisor")
    if supervisor and supervisor["alive"]:
        raise ConfigError("The site is running.", remedy="Stop it first: the recorder writes to the index.")
    settings = load_settings(folder.root)
    disks = Disks((d.id, Path(d.path), int(d.reserve_gb * 1e9)) for d in settings.disks(folder.root))
    report = rebuild_index(disks, folder.facts, SystemClock(), lambda text: print(text, file=sys.stderr))
    if as_json:
        print_json(report)
    else:
        print(report.sentence())


@app.command("adopt")
def adopt(disk: Annotated[Path, typer.Argument(help="The disk's folder.")]) -> None:
    """Mark a folder as a disk for footage: a new one, or one that you replaced on purpose.

    Example: closedcircuit footage adopt /mnt/cctv2
    """
    from closedcircuit.blobs import Disks

    disk_id = Disks.adopt(disk, ids=SystemIds())
    print(f"{disk} is disk {disk_id} now. Put it into config.toml: [[disk]] id = ... path = {str(disk)!r}")


@app.command("hold")
def hold(
    camera: CameraArgument,
    from_: FromArgument,
    to: ToArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is shown on the timeline.")],
    data: DataOption = None,
) -> None:
    """Keep footage from being deleted, whatever retention or a full disk say.

    Example: closedcircuit footage hold till 2026-11-21T22:00Z 2026-11-21T22:10Z --reason 'police request 17'
    """
    from closedcircuit.model import Hold

    begin, end = _times(from_, to)
    made = Hold(
        id=SystemIds().random(8).hex(), camera=camera, start_90k=begin, end_90k=end, reason=reason,
        made_90k=SystemClock().now_90k(),
    )  # fmt: skip
    _catalogue(data_folder(data)).add_hold(made)
    print(f"Hold {made.id}: {iso(begin)} to {iso(end)} of {camera} stays.")


@app.command("holds")
def holds(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the holds.

    Example: closedcircuit footage holds --json
    """
    found = _catalogue(data_folder(data)).holds()
    if as_json:
        print_json(found)
    elif not found:
        print("Nothing is held.")
    else:
        rows = [[h.id, h.camera, iso(h.start_90k), iso(h.end_90k), h.reason] for h in found]
        print_table(["HOLD", "CAMERA", "FROM", "TO", "REASON"], rows)


@app.command("release")
def release(hold_id: Annotated[str, typer.Argument(help="The hold's id.")], data: DataOption = None) -> None:
    """Lift a hold: retention may delete that footage again.

    Example: closedcircuit footage release 5f0c2a9be1d37744
    """
    _catalogue(data_folder(data)).remove_hold(hold_id)
    print(f"Hold {hold_id} is lifted.")


def _hashes(facts: Path | None, request: Any) -> dict[bytes, bytes]:
    """Return what the index says of the files' SHA-256, where there is an index."""
    if facts is None:
        return {}
    from closedcircuit.base.errors import CatalogueError
    from closedcircuit.catalogue import Catalogue
    from closedcircuit.db import Database

    try:
        catalogue = Catalogue(Database(facts), SystemClock())
        found = catalogue.segments(
            request.camera, request.stream, request.from_90k, request.to_90k, limit=100_000, fragments=False
        )
    except CatalogueError as error:
        sys.stderr.write(f"The index cannot be read ({error}); files are opened without comparing them to it.\n")
        return {}
    return {segment.kid: segment.sha256 for segment in found if segment.sha256}


def _catalogue(folder: DataFolder) -> Any:
    from closedcircuit.catalogue import Catalogue
    from closedcircuit.db import Database

    return Catalogue(Database(folder.facts), SystemClock())


def _times(from_: str, to: str) -> tuple[int, int]:
    try:
        begin = parse_iso(from_)
        end = parse_iso(to) if to else SystemClock().now_90k()
    except ValueError as error:
        raise ConfigError(f"{error}.", remedy=f"Times look like {TIME_HELP}") from error
    if end <= begin:
        raise ConfigError(f"{to} is not after {from_}.", remedy="FROM comes first.")
    return begin, end
