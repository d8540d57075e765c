DROP INDEX idx_active ON {prefix}woo_ai_knowledge_base;
DROP INDEX idx_severity_created ON {prefix}woo_ai_action_logs;
DROP INDEX idx_metric_created ON {prefix}woo_ai_analytics;
DROP INDEX idx_conversation_created ON {prefix}woo_ai_messages;
DROP INDEX idx_status_created ON {prefix}woo_ai_conversations;
