-- Which datasets hold content of a source, and how many rows?
--   set variable source = 'x-api';
select dataset,
       count(*)                                                  as rows,
       count(*) filter (verdict in ('exact', 'normalised', 'quoted')) as rows_in_full,
       sum(records)::bigint                                      as records_in_rows,
       min(first_fetched)                                        as first_fetched,
       max(last_fetched)                                         as last_fetched
from (
    select dataset, file, "row",
           arg_min(verdict, list_position(['exact', 'normalised', 'quoted', 'partial', 'near', 'signature'], verdict)) as verdict,
           count(distinct record) as records,
           min(fetched_at)        as first_fetched,
           max(fetched_at)        as last_fetched
    from matches
    where superseded_by is null and source = getvariable('source') and verdict <> 'common'
    group by dataset, file, "row"
)
group by dataset
order by dataset;
