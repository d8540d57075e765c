-- The message counts stay as they are: they are right now, and what was wrong before is of no use to anybody.
DELETE FROM {prefix}woo_ai_settings WHERE setting_key = 'ratings_in_analytics';
DELETE FROM {prefix}woo_ai_analytics WHERE metric_type = 'rating' AND context = '{"source": "004"}';
