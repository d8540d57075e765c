-- dunlin: description = "MVP 2: the tables of search analytics and usage patterns"

CREATE TABLE search_analytics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    query TEXT NOT NULL,
    results_count INTEGER,
    user_id TEXT,
    timestamp DATETIME,
    search_time_ms INTEGER,
    successful BOOLEAN
);

CREATE INDEX idx_search_analytics_timestamp ON search_analytics (timestamp);

CREATE INDEX idx_search_analytics_query ON search_analytics (query);

CREATE TABLE usage_patterns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pattern_type TEXT NOT NULL,
    pattern_data TEXT NOT NULL,
    frequency INTEGER DEFAULT 1,
    confidence REAL,
    first_seen DATETIME,
    last_seen DATETIME
);

CREATE INDEX idx_usage_patterns_type ON usage_patterns (pattern_type);

-- dunlin:undo

DROP TABLE usage_patterns;
DROP TABLE search_analytics;
