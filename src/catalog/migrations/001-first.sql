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
