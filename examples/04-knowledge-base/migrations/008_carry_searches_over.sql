-- dunlin: description = "MVP 2: the newest 1,000 searches are carried over, and repeated ones become patterns"
-- dunlin: requires = ["007"]

INSERT INTO search_analytics (query, results_count, user_id, timestamp, search_time_ms, successful)
SELECT query, results_count, user_id, timestamp, search_time_ms, results_count > 0
FROM search_history
WHERE query IS NOT NULL
ORDER BY timestamp DESC, rowid DESC
LIMIT 1000;

INSERT INTO usage_patterns (pattern_type, pattern_data, frequency, confidence, first_seen, last_seen)
SELECT 'repeated_search', json_object('query', query), count(*), avg(successful), min(timestamp), max(timestamp)
FROM search_analytics
GROUP BY query
HAVING count(*) >= 3 AND avg(successful) >= 0.7;

-- dunlin:undo

DELETE FROM usage_patterns WHERE pattern_type = 'repeated_search';

DELETE FROM search_analytics;
