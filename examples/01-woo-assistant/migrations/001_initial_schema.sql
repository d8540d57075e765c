-- dunlin: description = "The six tables, two views and sixteen settings of the assistant"
-- dunlin: estimate = "5s"
--
-- Safe to run twice, as activation hooks of plugins must be: what is there already stays, and Dunlin compares its shape.

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_conversations (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    user_id BIGINT UNSIGNED NULL COMMENT 'NULL for guests',
    session_id VARCHAR(64) NOT NULL,
    status ENUM('active', 'completed', 'abandoned') NOT NULL DEFAULT 'active',
    rating TINYINT UNSIGNED NULL,
    context LONGTEXT NULL,
    ip_address VARCHAR(45) NULL,
    user_agent VARCHAR(255) NULL,
    total_messages INT UNSIGNED NOT NULL DEFAULT 0,
    handoff_requested TINYINT(1) NOT NULL DEFAULT 0,
    handoff_email VARCHAR(190) NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY uq_session (session_id),
    KEY idx_user (user_id),
    CONSTRAINT {prefix}woo_ai_rating_range CHECK (rating BETWEEN 1 AND 5)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_messages (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    conversation_id BIGINT UNSIGNED NOT NULL,
    role ENUM('user', 'assistant', 'system') NOT NULL,
    content LONGTEXT NOT NULL,
    tokens_used INT UNSIGNED NULL,
    model_used VARCHAR(100) NULL,
    temperature DECIMAL(3,2) NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    KEY idx_conversation (conversation_id),
    CONSTRAINT {prefix}woo_ai_messages_conversation FOREIGN KEY (conversation_id)
        REFERENCES {prefix}woo_ai_conversations (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_knowledge_base (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    content_type VARCHAR(50) NOT NULL,
    content_id BIGINT UNSIGNED NULL,
    chunk_text TEXT NOT NULL,
    embedding LONGTEXT NULL,
    chunk_hash CHAR(64) NOT NULL,
    chunk_index INT UNSIGNED NOT NULL DEFAULT 0,
    is_active TINYINT(1) NOT NULL DEFAULT 1,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY uq_chunk (chunk_hash),
    KEY idx_content (content_type, content_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_settings (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    setting_key VARCHAR(190) NOT NULL,
    setting_value LONGTEXT NULL,
    setting_group VARCHAR(50) NOT NULL DEFAULT 'general',
    is_sensitive TINYINT(1) NOT NULL DEFAULT 0,
    autoload TINYINT(1) NOT NULL DEFAULT 1,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY uq_setting (setting_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_analytics (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    metric_type VARCHAR(50) NOT NULL,
    metric_value DECIMAL(15,4) NOT NULL DEFAULT 0,
    context LONGTEXT NULL,
    conversation_id BIGINT UNSIGNED NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    KEY idx_metric (metric_type),
    CONSTRAINT {prefix}woo_ai_analytics_conversation FOREIGN KEY (conversation_id)
        REFERENCES {prefix}woo_ai_conversations (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS {prefix}woo_ai_action_logs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    action_type VARCHAR(100) NOT NULL,
    details LONGTEXT NULL,
    success TINYINT(1) NOT NULL DEFAULT 1,
    severity ENUM('info', 'warning', 'error', 'critical') NOT NULL DEFAULT 'info',
    execution_time_ms INT UNSIGNED NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO {prefix}woo_ai_settings (setting_key, setting_value, setting_group, is_sensitive, autoload) VALUES
    ('assistant_enabled', 'yes', 'general', 0, 1),
    ('assistant_name', 'Woo Assistant', 'general', 0, 1),
    ('welcome_message', 'Hello! How can I help you? 🛒', 'general', 0, 1),
    ('language', 'auto', 'general', 0, 1),
    ('model', 'default', 'ai', 0, 1),
    ('temperature', '0.70', 'ai', 0, 1),
    ('max_tokens', '800', 'ai', 0, 1),
    ('api_key', '', 'ai', 1, 0),
    ('system_prompt', 'You help the customers of {{shop_name}}.', 'ai', 0, 0),
    ('widget_position', 'bottom-right', 'widget', 0, 1),
    ('widget_color', '#7f54b3', 'widget', 0, 1),
    ('handoff_enabled', 'yes', 'handoff', 0, 1),
    ('handoff_email', '', 'handoff', 0, 0),
    ('kb_auto_index', 'yes', 'knowledge', 0, 1),
    ('kb_chunk_size', '1000', 'knowledge', 0, 0),
    ('retention_days', '90', 'privacy', 0, 0);

CREATE OR REPLACE VIEW {prefix}woo_ai_conversation_summary AS
SELECT
    c.id,
    c.session_id,
    COALESCE(u.display_name, 'Guest') AS customer,
    c.status,
    c.rating,
    (SELECT COUNT(*) FROM {prefix}woo_ai_messages m WHERE m.conversation_id = c.id) AS message_count,
    (SELECT MAX(m.created_at) FROM {prefix}woo_ai_messages m WHERE m.conversation_id = c.id) AS last_message_at,
    c.created_at
FROM {prefix}woo_ai_conversations c
LEFT JOIN {wpdb_users} u ON u.ID = c.user_id;

CREATE OR REPLACE VIEW {prefix}woo_ai_kb_summary AS
SELECT
    content_type,
    COUNT(*) AS chunks,
    SUM(is_active) AS active_chunks,
    MAX(updated_at) AS last_updated
FROM {prefix}woo_ai_knowledge_base
GROUP BY content_type;
