-- SPDX-License-Identifier: Apache-2.0
-- When cameras were removed, and which segments nobody hashed.

alter table camera add column removed_90k integer check (removed_90k >= 0);

create table unhashed (
    stream_id integer not null,
    start_90k integer not null,
    seq integer not null,
    primary key (stream_id, start_90k, seq),
    foreign key (stream_id, start_90k, seq) references segment (stream_id, start_90k, seq) on delete cascade
) strict, without rowid;

insert into unhashed
select s.stream_id, s.start_90k, s.seq
from segment s
    join segment_body b on b.id = (s.stream_id << 32 | s.seq)
    left join growing g on g.stream_id = s.stream_id and g.start_90k = s.start_90k and g.seq = s.seq
where b.sha256 is null and g.seq is null;
