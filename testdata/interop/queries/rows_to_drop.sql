-- Which rows are to be dropped under the terms in force now? Those that the
-- default gate would fail, judged again by the terms of a day; a row whose
-- terms are silent or not known is among them, and says so.
--   set variable day = timestamptz '2026-01-31 00:00:00+00';   -- left out: now
with in_force as (
    select source, id as terms, rights.training as training
    from terms
    where superseded_by is null
      and effective_from <= coalesce(getvariable('day'), now())
      and (effective_until is null or effective_until > coalesce(getvariable('day'), now()))
)
select m.dataset, m.file, m."row",
       list(distinct m.source order by m.source)  as sources,
       list(distinct t.terms order by t.terms)    as terms,
       bool_or(t.training = 'forbidden')          as forbidden  -- null: nobody knows
from matches m
left join in_force t on t.source = m.source
where m.superseded_by is null
  and (m.verdict in ('exact', 'normalised', 'quoted')
       or m.verdict in ('partial', 'near') and m.score >= 0.5
       or m.verdict = 'signature' and list_contains(m.evidence.witnesses, 'grade strong'))
  and t.training is distinct from 'allowed'
group by m.dataset, m.file, m."row"
order by m.dataset, m.file, m."row";
