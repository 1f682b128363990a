-- SPDX-License-Identifier: Apache-2.0
-- From nothing to version 1. What the tables mean: ../schema.sql

pragma application_id = 1128485961;

create table camera (
    id integer primary key,
    name text not null unique check (length(name) between 1 and 40),
    added_90k integer check (added_90k >= 0)
) strict;

create table stream (
    id integer primary key check (id between 1 and 2147483647),
    camera_id integer not null references camera (id),
    name text not null check (length(name) between 1 and 40),
    next_seq integer not null default 0 check (next_seq between 0 and 4294967295),
    longest_90k integer not null default 0 check (longest_90k >= 0),
    unique (camera_id, name)
) strict;

create table hour_key (
    id integer primary key,
    camera_id integer not null references camera (id),
    key_id blob not null check (length(key_id) = 8),
    first_90k integer not null,
    last_90k integer not null check (last_90k >= first_90k),
    unique (camera_id, key_id)
) strict;

create table coding (
    id integer primary key,
    tracks blob not null unique check (length(tracks) between 1 and 65536)
) strict;

create table disk (
    id integer primary key,
    name text not null unique check (length(name) between 1 and 64)
) strict;

create table segment (
    stream_id integer not null references stream (id),
    start_90k integer not null check (start_90k >= 0),
    seq integer not null check (seq between 0 and 4294967295),
    duration_90k integer not null check (duration_90k >= 0),
    size_bytes integer not null check (size_bytes >= 0),
    hour_key_id integer not null references hour_key (id),
    kid_tail blob not null check (length(kid_tail) = 8),
    disk_id integer not null references disk (id),
    primary key (stream_id, start_90k, seq)
) strict, without rowid;

create table segment_body (
    id integer primary key check (id >= 0),
    run text not null check (length(run) between 1 and 64),
    coding_id integer not null references coding (id),
    init_bytes integer not null check (init_bytes >= 0),
    sha256 blob check (length(sha256) = 32),
    fragments blob not null check (length(fragments) >= 1)
) strict;

create table growing (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

create table stretch (
    camera_id integer not null references camera (id),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    primary key (camera_id, start_90k)
) strict, without rowid;

create table gap (
    camera_id integer not null references camera (id),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    cause text not null check (cause in (
        'paused', 'schedule', 'no-event', 'no-key',
        'unreachable', 'refused', 'broken', 'disk-full', 'disk-gone', 'overload', 'process-down', 'clock-stepped',
        'deleted')),
    detail text not null default '' check (length(detail) <= 1000),
    primary key (camera_id, start_90k)
) strict, without rowid;

create table day (
    stream_id integer not null references stream (id),
    day integer not null check (day >= 0),
    disk_id integer not null references disk (id),
    size_bytes integer not null check (size_bytes >= 0),
    segments integer not null check (segments > 0),
    primary key (stream_id, day, disk_id)
) strict, without rowid;

create table doomed (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    made_90k integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

create table hold (
    id text primary key check (length(id) between 1 and 64),
    camera text not null check (length(camera) between 1 and 40),
    start_90k integer not null,
    end_90k integer not null check (end_90k > start_90k),
    reason text not null check (length(reason) <= 1000),
    made_90k integer not null
) strict;

create table account (
    id integer primary key,
    name text not null check (length(name) between 1 and 200),
    recipient text not null check (length(recipient) between 1 and 8192),
    recovery_recipient text not null check (length(recovery_recipient) between 1 and 8192),
    blob blob not null check (length(blob) between 1 and 65536),
    login_kind text not null check (login_kind in ('passphrase', 'passkey')),
    login_json text not null check (json_valid(login_json)),
    made_90k integer not null
) strict;

create table session (
    token_sha256 blob primary key check (length(token_sha256) = 32),
    account_id integer not null references account (id) on delete cascade,
    made_90k integer not null,
    seen_90k integer not null,
    expires_90k integer not null,
    agent text not null default '' check (length(agent) <= 1000)
) strict, without rowid;

create index session_account on session (account_id);

create table setting (
    name text primary key check (length(name) between 1 and 200),
    value text not null
) strict, without rowid;
