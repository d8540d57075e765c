DROP VIEW IF EXISTS {prefix}woo_ai_kb_summary;
DROP VIEW IF EXISTS {prefix}woo_ai_conversation_summary;
DROP TABLE IF EXISTS {prefix}woo_ai_action_logs;
DROP TABLE IF EXISTS {prefix}woo_ai_analytics;
DROP TABLE IF EXISTS {prefix}woo_ai_settings;
DROP TABLE IF EXISTS {prefix}woo_ai_knowledge_base;
DROP TABLE IF EXISTS {prefix}woo_ai_messages;
DROP TABLE IF EXISTS {prefix}woo_ai_conversations;
