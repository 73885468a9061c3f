"""The tables of `root/campaign.sqlite`: what a campaign keeps. Whoever reads them may rely on `LEDGER_VERSION`."""

from __future__ import annotations

__all__ = ["LEDGER_VERSION", "TABLES"]

LEDGER_VERSION = "4"
"""Changes with the meaning of any column."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE campaign (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, terms TEXT NOT NULL);
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE epoch (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    terms TEXT NOT NULL,
    PRIMARY KEY (campaign_id, number)
) WITHOUT ROWID;
CREATE TABLE "case" (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    seed INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    generate_seconds REAL NOT NULL,
    judge_seconds REAL NOT NULL,
    finished_seconds REAL NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (campaign_id, seed)
) WITHOUT ROWID;
CREATE TABLE answer (
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    target_id INTEGER NOT NULL REFERENCES target (id),
    outcome TEXT NOT NULL,
    verdict TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    cpu_seconds REAL NOT NULL,
    PRIMARY KEY (campaign_id, seed, target_id),
    FOREIGN KEY (campaign_id, seed) REFERENCES "case" (campaign_id, seed)
) WITHOUT ROWID;
CREATE TABLE rough (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE failure (
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    target TEXT NOT NULL,
    rough_id INTEGER NOT NULL REFERENCES rough (id),
    site TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'due', 'assumed', 'shown', 'lost')),
    told TEXT NOT NULL,
    cpu_seconds REAL NOT NULL,
    finished_seconds REAL NOT NULL,
    PRIMARY KEY (campaign_id, seed, target),
    FOREIGN KEY (campaign_id, seed) REFERENCES "case" (campaign_id, seed)
) WITHOUT ROWID;
CREATE INDEX failure_state ON failure (campaign_id, state);
CREATE TABLE finding (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    signature TEXT NOT NULL,
    pattern TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    target TEXT NOT NULL,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    seed INTEGER NOT NULL,
    first_seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE sighting (
    finding_id TEXT NOT NULL REFERENCES finding (id),
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    target TEXT NOT NULL,
    sites TEXT NOT NULL,
    aside INTEGER NOT NULL,
    PRIMARY KEY (finding_id, campaign_id, seed, target)
) WITHOUT ROWID;
CREATE TABLE link (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    name TEXT NOT NULL,
    seed INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, name)
) WITHOUT ROWID;
CREATE TABLE shown (
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (campaign_id, seed),
    FOREIGN KEY (campaign_id, seed) REFERENCES "case" (campaign_id, seed)
) WITHOUT ROWID;
CREATE VIEW named AS
    SELECT f.campaign_id, f.rough_id, s.finding_id, count(*) AS count, min(f.seed) AS seed
    FROM failure AS f JOIN sighting AS s
        ON s.campaign_id = f.campaign_id AND s.seed = f.seed AND s.target = f.target AND NOT s.aside
    WHERE f.state = 'shown' GROUP BY 1, 2, 3;
CREATE VIEW likely AS
    SELECT campaign_id, rough_id, finding_id FROM (
        SELECT *, row_number() OVER (
            PARTITION BY campaign_id, rough_id ORDER BY count DESC, seed, finding_id
        ) AS place FROM named
    ) WHERE place = 1;
CREATE VIEW assumed AS
    SELECT l.finding_id, f.campaign_id, f.seed, f.target
    FROM failure AS f JOIN likely AS l ON l.campaign_id = f.campaign_id AND l.rough_id = f.rough_id
    WHERE f.state = 'assumed';
"""
"""A case and its answers are written together, a failure with them.

``finished_seconds`` is when something was done, on a clock that runs while the campaign does; of a ``failure`` that is
not reduced it is 0. A failing answer (``failure``) is ``open`` until all seeds before it are examined, then ``due`` to
be reduced or ``assumed`` to be what most of its rough key were; a reduced one is ``shown``, ``lost`` where that came to
nothing.
``named`` counts what the reduced answers of a rough key are, ``likely`` is the most frequent of them, ``assumed`` has
the rows that are like ``sighting`` but not looked into. ``link`` has the pairs ``Producer>Consumer`` that some target
ran, with the lowest seed that had each; ``epoch`` says in its terms what was known to decide over its seeds.
``shown`` has what compilers showed of a case that was not known when it was made, and the decisions that made it
(`fuzz.campaign.novelty`); it is empty without ``--novelty``.
"""
