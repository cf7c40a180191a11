-- Restore drills, each as the document that was written when it ended.

CREATE TABLE drills (
    id TEXT NOT NULL,
    policy TEXT NOT NULL,
    drill TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('passed', 'failed', 'stopped')),
    record TEXT NOT NULL,
    -- Whoever drills for one policy says nothing of another one, whatever he calls it.
    PRIMARY KEY (policy, id)
);
CREATE INDEX drills_of_a_policy ON drills (policy, ended);

-- What was last seen in the stores of a policy, for those who have no way to a store.
CREATE TABLE inventories (
    policy TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    document TEXT NOT NULL
);

-- How many runs of a month succeeded is asked of every policy at once: the index alone answers it.
DROP INDEX runs_of_a_policy;
CREATE INDEX runs_of_a_policy ON runs (policy, started, outcome);
-- What was said in a stretch of time is asked of every policy at once.
CREATE INDEX outbox_by_age ON outbox (policy, created);
