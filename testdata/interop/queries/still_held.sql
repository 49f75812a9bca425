-- What is still held that a notice asked to delete? A record counts as gone
-- when a destruction after the notice means it by its source or its id alone
-- and did not leave it out: one of an app, a dataset or a fetch may have left
-- other copies.
with asked as (
    select id as notice, source, unnest(records) as record, received_at, due_at
    from notices where superseded_by is null and kind = 'delete'
    union all
    select n.id, n.source, r.record, n.received_at, n.due_at
    from notices n join records r on r.source = n.source
    where n.superseded_by is null and n.kind = 'delete' and len(n.records) = 0
), gone as (
    select a.notice, a.source, a.record
    from asked a
    join destructions d on (d.what.source is null or d.what.source = a.source)
                       and (len(d.what.records) = 0 or list_contains(d.what.records, a.record))
                       and d.destroyed_at >= a.received_at
                       and not list_contains(d.exceptions, a.record)
    where d.superseded_by is null
      and d.what.app is null and d.what.dataset is null and d.what.fetch is null
      and d.what.period_from is null and d.what.period_until is null
), found as (
    select source, record, list(distinct dataset order by dataset) as datasets
    from matches
    where superseded_by is null and verdict <> 'common' and (source, record) in (select source, record from asked)
    group by source, record
)
select a.notice, a.source, a.record, a.due_at, r.fetched_at, found.datasets,
       (select list(distinct h.location order by h.location) from holdings h
        where h.superseded_by is null and h.period_until is null
          and (h.what.source is null or h.what.source = a.source)
          and (len(h.what.records) = 0 or list_contains(h.what.records, a.record))) as may_lie_in,
       (select list(distinct h.matter order by h.matter) from holds h
        where h.superseded_by is null and h.period_until is null
          and (h.what.source is null or h.what.source = a.source)
          and (len(h.what.records) = 0 or list_contains(h.what.records, a.record))) as held_for
from asked a
left join records r on r.source = a.source and r.record = a.record
left join found     on found.source = a.source and found.record = a.record
where (r.record is not null or found.record is not null)
  and (a.notice, a.source, a.record) not in (select notice, source, record from gone)
order by a.notice, a.source, a.record;
