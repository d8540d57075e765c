ALTER TABLE {prefix}woo_ai_conversations DROP COLUMN tag_count;
DROP TABLE {prefix}woo_ai_conversation_tags;
DROP TABLE {prefix}woo_ai_tags;
