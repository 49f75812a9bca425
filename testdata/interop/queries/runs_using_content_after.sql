-- Which training runs used content that was first fetched after a day? The
-- dataset of the run counts, and every dataset that it was made from.
--   set variable after = timestamptz '2023-04-01 00:00:00+00';
with recursive made_from as (
    select id as dataset, unnest(parents) as input from datasets where superseded_by is null
    union
    select output, unnest(inputs) from transformations where superseded_by is null
), used as (
    select id as use, dataset from uses where superseded_by is null and kind = 'training'
    union
    select used.use, made_from.input from used join made_from using (dataset)
)
select u.run, u.id as use, u.product, u.recipient, u.dataset, m.dataset as found_in, m.source,
       count(distinct (m.file, m."row")) as rows, min(m.fetched_at) as first_fetched, max(m.fetched_at) as last_fetched
from used
join uses u    on u.id = used.use and u.superseded_by is null
join matches m on m.dataset = used.dataset and m.superseded_by is null
where m.verdict <> 'common' and m.fetched_at >= getvariable('after')
group by all
order by u.run, use, found_in, m.source;
