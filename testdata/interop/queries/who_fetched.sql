-- Which apps and credentials fetched a record, and under which terms?
--   set variable source = 'x-api'; set variable record = '1500000000000000123';
select r.fetched_at, r.version, r.fetch, f.app, a.product, a.owner, f.credential, f.endpoint, f.purpose,
       r.terms, t.effective_from, t.effective_until, r.training
from record_fetches r
left join fetches f     on f.id = r.fetch         and f.superseded_by is null
left join apps a        on a.id = f.app           and a.superseded_by is null
left join terms t       on t.id = r.terms         and t.superseded_by is null
where r.source = getvariable('source') and r.record = getvariable('record')
order by r.fetched_at, r.fetch, r.version;
