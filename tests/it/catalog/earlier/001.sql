-- A catalog of version 1 with something in every table. Never changed: it is what is out there.
CREATE TABLE migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied BIGINT NOT NULL);
INSERT INTO migrations VALUES (1, 'first', '3306de8205635971cff65d3319bf3501cb3f7c52f553c2e760ed08ea7fdd6017', 1790000000000000);

-- The catalog as it began. A line that ends with `--sqlite` or `--postgres` is for that one only; all others are for both.
-- Times are microseconds since 1970 in UTC. A migration that has been released is never changed: the next one changes the tables.

CREATE TABLE jobs (
    policy TEXT NOT NULL,
    job TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_run BIGINT,
    last_started BIGINT,
    last_owed_since BIGINT,
    last_ended BIGINT,
    last_outcome TEXT,
    last_transient BIGINT,
    last_succeeded BIGINT,
    failures_in_a_row BIGINT NOT NULL DEFAULT 0,
    running BIGINT,
    PRIMARY KEY (policy, job)
);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, --sqlite
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, --postgres
    policy TEXT NOT NULL,
    job TEXT NOT NULL,
    host TEXT NOT NULL,
    boot TEXT,
    pid BIGINT NOT NULL,
    why TEXT NOT NULL CHECK (why IN ('due', 'asked', 'plan')),
    owed_since BIGINT,
    started BIGINT NOT NULL,
    digest TEXT,
    git_commit TEXT,
    ended BIGINT,
    outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'stopped', 'lost')),
    transient BIGINT NOT NULL DEFAULT 0,
    message TEXT,
    hint TEXT,
    backup TEXT,
    store TEXT,
    bytes BIGINT,
    stored_bytes BIGINT,
    checksum TEXT,
    CHECK ((ended IS NULL) = (outcome IS NULL))
);
CREATE INDEX runs_of_a_job ON runs (policy, job, id);
CREATE INDEX runs_of_a_policy ON runs (policy, started);
CREATE INDEX runs_under_way ON runs (host) WHERE ended IS NULL;

CREATE TABLE steps (
    run BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    action TEXT NOT NULL,
    says TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'stopped', 'skipped')),
    message TEXT,
    PRIMARY KEY (run, number),
    CHECK ((ended IS NULL) = (outcome IS NULL))
);

CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT, --sqlite
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, --postgres
    policy TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    latest_at BIGINT NOT NULL,
    latest_value DOUBLE PRECISION NOT NULL,
    UNIQUE (policy, name, subject)
);

CREATE TABLE measurements (
    series BIGINT NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (series, at)
);
CREATE INDEX measurements_by_age ON measurements (at);

CREATE TABLE alert_memory (
    policy TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    memory TEXT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, --sqlite
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, --postgres
    id TEXT NOT NULL UNIQUE,
    policy TEXT NOT NULL,
    receiver TEXT NOT NULL,
    notice TEXT NOT NULL,
    created BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    claimant TEXT,
    leased_until BIGINT,
    next_try BIGINT,
    first_failed BIGINT,
    last_failed BIGINT,
    last_error TEXT,
    delivered BIGINT,
    gave_up BIGINT,
    reference TEXT
);
CREATE INDEX outbox_owed ON outbox (policy, receiver, number) WHERE delivered IS NULL AND gave_up IS NULL;
CREATE INDEX outbox_of_a_policy ON outbox (policy, receiver, delivered);

CREATE TABLE threads (
    policy TEXT NOT NULL,
    receiver TEXT NOT NULL,
    thread TEXT NOT NULL,
    reference TEXT NOT NULL,
    remembered BIGINT NOT NULL,
    PRIMARY KEY (policy, receiver, thread)
);

CREATE TABLE acknowledgements (
    policy TEXT NOT NULL,
    subject TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    note TEXT NOT NULL,
    at BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (policy, subject)
);

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    policy TEXT NOT NULL,
    host TEXT NOT NULL,
    who TEXT NOT NULL,
    digest TEXT,
    git_commit TEXT,
    what TEXT NOT NULL,
    kind TEXT NOT NULL,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
-- Against accidents. Against people there is the chain itself.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END; --sqlite
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END; --sqlite
CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit chain is only added to'; END $$; --postgres
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_only_added_to(); --postgres
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to(); --postgres

INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) VALUES (1, 'orders', 'backups.nightly', 'db1', 'boot-1', 4711, 'due', 1790000040000000, 1790000100000000, 'sha256:abc', NULL, 1790000110000000, 'succeeded', 0, NULL, NULL, 'b1', 'near', 1000, 500, 'ab12'); --sqlite
INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) OVERRIDING SYSTEM VALUE VALUES (1, 'orders', 'backups.nightly', 'db1', 'boot-1', 4711, 'due', 1790000040000000, 1790000100000000, 'sha256:abc', NULL, 1790000110000000, 'succeeded', 0, NULL, NULL, 'b1', 'near', 1000, 500, 'ab12'); --postgres
INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) VALUES (2, 'orders', 'backups.nightly', 'db1', 'boot-1', 4712, 'asked', NULL, 1790000200000000, 'sha256:abc', 'c0ffee', 1790000210000000, 'failed', 0, 'the disk is full', 'Make room.', NULL, NULL, NULL, NULL, NULL); --sqlite
INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) OVERRIDING SYSTEM VALUE VALUES (2, 'orders', 'backups.nightly', 'db1', 'boot-1', 4712, 'asked', NULL, 1790000200000000, 'sha256:abc', 'c0ffee', 1790000210000000, 'failed', 0, 'the disk is full', 'Make room.', NULL, NULL, NULL, NULL, NULL); --postgres
INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) VALUES (3, 'orders', 'expire', 'db1', 'boot-1', 4713, 'plan', NULL, 1790000300000000, 'sha256:abc', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL); --sqlite
INSERT INTO runs (id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, backup, store, bytes, stored_bytes, checksum) OVERRIDING SYSTEM VALUE VALUES (3, 'orders', 'expire', 'db1', 'boot-1', 4713, 'plan', NULL, 1790000300000000, 'sha256:abc', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL); --postgres
SELECT setval(pg_get_serial_sequence('runs', 'id'), 3); --postgres
INSERT INTO steps (run, number, action, says, started, ended, outcome, message) VALUES (2, 1, 'backup', 'take a full backup', 1790000201000000, 1790000209000000, 'failed', 'the disk is full');
INSERT INTO steps (run, number, action, says, started, ended, outcome, message) VALUES (3, 1, 'expire', 'delete b0', 1790000301000000, NULL, NULL, NULL);
INSERT INTO jobs (policy, job, first_seen, last_run, last_started, last_owed_since, last_ended, last_outcome, last_transient, last_succeeded, failures_in_a_row, running) VALUES ('orders', 'backups.nightly', 1790000000000000, 2, 1790000200000000, NULL, 1790000210000000, 'failed', 0, 1790000110000000, 1, NULL);
INSERT INTO jobs (policy, job, first_seen, last_run, last_started, last_owed_since, last_ended, last_outcome, last_transient, last_succeeded, failures_in_a_row, running) VALUES ('orders', 'expire', 1790000000000000, 3, 1790000300000000, NULL, NULL, NULL, NULL, NULL, 0, 3);
INSERT INTO series (id, policy, name, subject, latest_at, latest_value) VALUES (1, 'orders', 'age', 'nightly', 1790000002000000, 1.5); --sqlite
INSERT INTO series (id, policy, name, subject, latest_at, latest_value) OVERRIDING SYSTEM VALUE VALUES (1, 'orders', 'age', 'nightly', 1790000002000000, 1.5); --postgres
SELECT setval(pg_get_serial_sequence('series', 'id'), 1); --postgres
INSERT INTO measurements (series, at, value) VALUES (1, 1790000001000000, 0.5);
INSERT INTO measurements (series, at, value) VALUES (1, 1790000002000000, 1.5);
INSERT INTO alert_memory (policy, version, memory, changed) VALUES ('orders', 4, '{"alerts":[]}', 1790000005000000);
INSERT INTO outbox (number, id, policy, receiver, notice, created, not_before, attempts, claimant, leased_until, next_try, first_failed, last_failed, last_error, delivered, gave_up, reference) VALUES (1, 'n1', 'orders', 'slack', '{}', 1790000001000000, 1790000001000000, 1, 'db1:1', NULL, NULL, NULL, NULL, NULL, 1790000002000000, NULL, '171.1'); --sqlite
INSERT INTO outbox (number, id, policy, receiver, notice, created, not_before, attempts, claimant, leased_until, next_try, first_failed, last_failed, last_error, delivered, gave_up, reference) OVERRIDING SYSTEM VALUE VALUES (1, 'n1', 'orders', 'slack', '{}', 1790000001000000, 1790000001000000, 1, 'db1:1', NULL, NULL, NULL, NULL, NULL, 1790000002000000, NULL, '171.1'); --postgres
INSERT INTO outbox (number, id, policy, receiver, notice, created, not_before, attempts, claimant, leased_until, next_try, first_failed, last_failed, last_error, delivered, gave_up, reference) VALUES (2, 'n2', 'orders', 'mail', '{}', 1790000001000000, 1790000001000000, 2, 'db1:1', NULL, 1790000009000000, 1790000002000000, 1790000003000000, '451 later', NULL, NULL, NULL); --sqlite
INSERT INTO outbox (number, id, policy, receiver, notice, created, not_before, attempts, claimant, leased_until, next_try, first_failed, last_failed, last_error, delivered, gave_up, reference) OVERRIDING SYSTEM VALUE VALUES (2, 'n2', 'orders', 'mail', '{}', 1790000001000000, 1790000001000000, 2, 'db1:1', NULL, 1790000009000000, 1790000002000000, 1790000003000000, '451 later', NULL, NULL, NULL); --postgres
SELECT setval(pg_get_serial_sequence('outbox', 'number'), 2); --postgres
INSERT INTO threads (policy, receiver, thread, reference, remembered) VALUES ('orders', 'slack', 'age', '171.1', 1790000002000000);
INSERT INTO acknowledgements (policy, subject, by_whom, note, at, until) VALUES ('orders', 'age', 'ann', 'I look', 1790000004000000, NULL);
INSERT INTO audit (seq, at, policy, host, who, digest, git_commit, what, kind, details, previous, hash) VALUES (1, 1790000001000000, 'orders', 'db1', 'root', 'sha256:abc', NULL, 'a backup was taken', 'backup.succeeded', '{"bytes":1.50}', '0000000000000000000000000000000000000000000000000000000000000000', 'de0f14841a8047a10d85ac07896a544a4afcb38b62ddc37ed73d71abbb9a397e');
INSERT INTO audit (seq, at, policy, host, who, digest, git_commit, what, kind, details, previous, hash) VALUES (2, 1790000002000000, 'orders', 'db1', 'root', 'sha256:abc', NULL, 'ü "quoted"', 'backup.succeeded', '{"bytes":1.50}', 'de0f14841a8047a10d85ac07896a544a4afcb38b62ddc37ed73d71abbb9a397e', '544cb88232ff6766fb1c08ed8e81b5549da21251edcf79122421f782a202fdde');
