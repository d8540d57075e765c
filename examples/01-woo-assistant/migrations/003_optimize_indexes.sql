-- dunlin: description = "Indexes for the lists that shops look at most"
-- dunlin: requires = ["001", "002"]

CREATE INDEX idx_status_created ON {prefix}woo_ai_conversations (status, created_at);

CREATE INDEX idx_conversation_created ON {prefix}woo_ai_messages (conversation_id, created_at);

CREATE INDEX idx_metric_created ON {prefix}woo_ai_analytics (metric_type, created_at);

CREATE INDEX idx_severity_created ON {prefix}woo_ai_action_logs (severity, created_at);

CREATE INDEX idx_active ON {prefix}woo_ai_knowledge_base (is_active, content_type);
