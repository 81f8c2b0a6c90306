-- A host that takes no new jobs and works on those it has.
ALTER TABLE hosts
    ADD COLUMN draining_by     text,
    ADD COLUMN draining_at     timestamptz,
    ADD COLUMN draining_reason text,
    ADD CONSTRAINT hosts_drain_whole CHECK (num_nonnulls(draining_by, draining_at, draining_reason) IN (0, 3));
