-- dunlin: description = "Ratings that customers gave become metrics; message counts are made right"
-- dunlin: requires = ["001"]
-- dunlin: backup = true
--
-- Data only: every statement commits together with its record, so this runs exactly once whatever dies.

INSERT INTO {prefix}woo_ai_analytics (metric_type, metric_value, context, conversation_id, created_at)
SELECT 'rating', rating, '{"source": "004"}', id, updated_at
FROM {prefix}woo_ai_conversations
WHERE rating IS NOT NULL;

UPDATE {prefix}woo_ai_conversations c
SET c.total_messages = (SELECT COUNT(*) FROM {prefix}woo_ai_messages m WHERE m.conversation_id = c.id),
    c.updated_at = c.updated_at;

INSERT INTO {prefix}woo_ai_settings (setting_key, setting_value, setting_group) VALUES
    ('ratings_in_analytics', 'yes', 'analytics');
