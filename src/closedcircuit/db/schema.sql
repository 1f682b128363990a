-- SPDX-License-Identifier: Apache-2.0
-- facts.db: what Closed Circuit knows. This file is the document; migrations/NNN.sql lead here, and a test proves it.
--
-- Conventions: `_90k` is wall time or a duration in 1/90000 s; `_bytes` are bytes; tables are named in the singular;
-- every table is strict and every column is checked, so that a slip of ours is refused here and not found years later.
-- Nothing here opens footage: no private key, no hour key. All of the index (camera to day) can be rebuilt from the
-- footage itself; account, session, setting and hold can not, which is why a rebuild carries them over.
--
-- Who can change this file can hide footage from the index until the next rebuild, and can sign in.

pragma application_id = 1128485961;  -- "CCTI": so that another program's database is not mistaken for ours

-- One row a camera that was ever recorded or announced. It stays when the camera is removed: its seconds are still
-- accounted for.
create table camera (
    id integer primary key,
    name text not null unique check (length(name) between 1 and 40),  -- the slug: a folder's name and a URL's part
    added_90k integer check (added_90k >= 0),  -- the ledger begins here; null while nobody said
    removed_90k integer check (removed_90k >= 0)  -- and ends here; null while it was not removed
) strict;

-- One row a stream of a camera, so that the millions of rows below carry two bytes instead of two names.
create table stream (
    id integer primary key check (id between 1 and 2147483647),  -- the upper half of segment_body.id
    camera_id integer not null references camera (id),
    name text not null check (length(name) between 1 and 40),  -- main, sub
    next_seq integer not null default 0 check (next_seq between 0 and 4294967295),  -- never handed out twice
    -- The longest segment that this stream ever had. A segment that covers a moment began at most this long before
    -- it, which turns "what overlaps this range" into one short walk over the primary key. It never shrinks.
    longest_90k integer not null default 0 check (longest_90k >= 0),
    unique (camera_id, name)
) strict;

-- One row an hour key that some segment was sealed under; the wrapped key itself is keys/<camera>/<key_id>.age.
create table hour_key (
    id integer primary key,
    camera_id integer not null references camera (id),
    key_id blob not null check (length(key_id) = 8),  -- the first half of the kid of its segments
    -- Every segment under it begins in [first_90k, last_90k]. A key lives an hour, so finding one segment by its kid
    -- is a walk over that hour, and an index of 10 million random kids is not needed.
    first_90k integer not null,
    last_90k integer not null check (last_90k >= first_90k),
    unique (camera_id, key_id)
) strict;

-- One row a way of coding that segments share: msgpack of the tuple of Track, some hundred bytes, equal for months.
create table coding (
    id integer primary key,
    tracks blob not null unique check (length(tracks) between 1 and 65536)
) strict;

-- One row a disk that segments lie on.
create table disk (
    id integer primary key,
    name text not null unique check (length(name) between 1 and 64)
) strict;

-- One row a segment, small (about 40 bytes) and in the order in which footage is asked for: this is the table that
-- holds 10 million rows and answers within a millisecond. `without rowid` because the rows are small and the key is
-- how they are found; start_90k alone is not unique, for a clock set back can let two segments begin at once.
create table segment (
    stream_id integer not null references stream (id),
    start_90k integer not null check (start_90k >= 0),
    seq integer not null check (seq between 0 and 4294967295),
    duration_90k integer not null check (duration_90k >= 0),
    size_bytes integer not null check (size_bytes >= 0),
    hour_key_id integer not null references hour_key (id),
    kid_tail blob not null check (length(kid_tail) = 8),  -- the second half of the kid
    disk_id integer not null references disk (id),
    primary key (stream_id, start_90k, seq)
) strict, without rowid;

-- The rest of a segment, some 450 bytes, kept apart so that scans of the small rows stay small. An ordinary rowid
-- table, because `without rowid` is wrong for rows over 200 bytes (sqlite.org/withoutrowid.html); the id is put together
-- so that one stream's rows still lie side by side.
create table segment_body (
    id integer primary key check (id >= 0),  -- stream_id << 32 | seq
    run text not null check (length(run) between 1 and 64),  -- 16 hex digits; segments of one run join without a break
    coding_id integer not null references coding (id),
    init_bytes integer not null check (init_bytes >= 0),  -- ftyp + moov + header; the first fragment starts here
    sha256 blob check (length(sha256) = 32),  -- of the whole file; null while it grows, and while it is in `unhashed`
    fragments blob not null check (length(fragments) >= 1)  -- catalogue/_fragments.py
) strict;

-- The segments that are not finished, so that start-up finds them without a walk over millions of rows.
create table growing (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

-- The segments that are finished but have no sha256: after a repair or a rebuild nobody knew it. The keeper works
-- through them, slowly.
create table unhashed (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

-- Where the main stream of a camera is recorded: the union of its segments, merged where they touch. Rows of a camera
-- never overlap and never touch. It says nothing that `segment` does not; it is here because a year of one camera is
-- 525 000 segments, but only as many stretches as there were interruptions. Kept up to date in every transaction that
-- changes a segment.
create table stretch (
    camera_id integer not null references camera (id),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    primary key (camera_id, start_90k)
) strict, without rowid;

-- Reasons for the absence of footage. Rows of a camera never overlap: a newly written reason takes its range from older
-- ones. What is recorded wins over any reason, so a row may lie under a stretch and shows again when that is deleted.
create table gap (
    camera_id integer not null references camera (id),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    cause text not null check (cause in (
        'paused', 'schedule', 'no-event', 'no-key',
        'unreachable', 'refused', 'broken', 'disk-full', 'disk-gone', 'overload', 'process-down', 'clock-stepped',
        'deleted')),  -- 'unknown' is what the absence of a row means, so it cannot be stored
    detail text not null default '' check (length(detail) <= 1000),
    primary key (camera_id, start_90k)
) strict, without rowid;

-- Bytes that segments beginning on a day (UTC, days since 1970) take on a disk: quotas, forecasts and the storage page
-- without adding up millions of rows. Kept up to date with `segment`.
create table day (
    stream_id integer not null references stream (id),
    day integer not null check (day >= 0),
    disk_id integer not null references disk (id),
    size_bytes integer not null check (size_bytes >= 0),
    segments integer not null check (segments > 0),
    primary key (stream_id, day, disk_id)
) strict, without rowid;

-- Segments that are being deleted: listed first, then unlinked, then their rows dropped. A crash anywhere leaves rows
-- here that the keeper goes on with. A hold that is made before a file is unlinked takes it off this list.
create table doomed (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    made_90k integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

-- Footage that may not be deleted, whatever retention or a full disk say. By the camera's name and not its number,
-- because holds outlive the index when it is rebuilt.
create table hold (
    id text primary key check (length(id) between 1 and 64),
    camera text not null check (length(camera) between 1 and 40),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    reason text not null check (length(reason) <= 1000),
    made_90k integer not null
) strict;

-- Whoever may sign in. `blob` is the owner's identity, encrypted in the browser under a key that we never have.
create table account (
    id integer primary key,
    name text not null check (length(name) between 1 and 200),
    recipient text not null check (length(recipient) between 1 and 8192),  -- age1pq1...
    recovery_recipient text not null check (length(recovery_recipient) between 1 and 8192),
    blob blob not null check (length(blob) between 1 and 65536),
    login_kind text not null check (login_kind in ('passphrase', 'passkey')),
    login_json text not null check (json_valid(login_json)),  -- salt, argon2id of `auth`; or the passkey's public key
    made_90k integer not null
) strict;

-- Who is signed in. The cookie's token itself is nowhere, only its hash.
create table session (
    token_sha256 blob primary key check (length(token_sha256) = 32),
    account_id integer not null references account (id) on delete cascade,
    made_90k integer not null,
    seen_90k integer not null,
    expires_90k integer not null,
    agent text not null default '' check (length(agent) <= 1000)  -- what the browser calls itself, for the list of sessions
) strict, without rowid;

create index session_account on session (account_id);

-- Settings changed in the browser (the rest is in config.toml). Values are JSON or plain text, as their reader says.
create table setting (
    name text primary key check (length(name) between 1 and 200),
    value text not null
) strict, without rowid;
