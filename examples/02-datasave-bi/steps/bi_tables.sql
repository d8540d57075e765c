-- Five new tables. Every TIMESTAMP says what it defaults to and what moves it: a server with
-- explicit_defaults_for_timestamp = OFF would decide otherwise by itself.

CREATE TABLE ai_conversations (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id INT UNSIGNED NOT NULL COMMENT 'کاربر',
    conversation_type ENUM('form_creation', 'data_query', 'insight_request', 'general_chat') NOT NULL COMMENT 'نوع گفتگو',
    messages JSON NOT NULL COMMENT 'پیام‌ها',
    context JSON NULL,
    status ENUM('active', 'completed', 'error') NOT NULL DEFAULT 'active',
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    KEY idx_user_type (user_id, conversation_type),
    KEY idx_created_at (created_at),
    KEY idx_status (status),
    CONSTRAINT fk_conversations_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci COMMENT='گفتگوهای هوش مصنوعی';

CREATE TABLE form_embeds (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    form_id INT UNSIGNED NOT NULL,
    embed_domain VARCHAR(255) NOT NULL,
    embed_type ENUM('wordpress', 'html', 'javascript', 'iframe') NOT NULL,
    embed_config JSON NULL,
    usage_stats JSON NULL,
    is_active TINYINT(1) NOT NULL DEFAULT 1,
    last_accessed TIMESTAMP NULL DEFAULT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    KEY idx_form_domain (form_id, embed_domain),
    KEY idx_embed_type (embed_type),
    KEY idx_active_created (is_active, created_at),
    CONSTRAINT fk_embeds_form FOREIGN KEY (form_id) REFERENCES forms (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci COMMENT='فرم‌های جاسازی‌شده';

CREATE TABLE analytics_cache (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    cache_key VARCHAR(191) NOT NULL,
    query_hash VARCHAR(64) NOT NULL,
    query_type VARCHAR(50) NOT NULL,
    result_data JSON NOT NULL,
    metadata JSON NULL,
    expires_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    hit_count INT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY uk_cache_key (cache_key),
    KEY idx_query_hash (query_hash),
    KEY idx_expires_at (expires_at),
    KEY idx_query_type (query_type),
    KEY idx_hit_count (hit_count)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci COMMENT='نتایج ذخیره‌شده';

CREATE TABLE ai_insights (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    insight_type VARCHAR(50) NOT NULL,
    title VARCHAR(255) NOT NULL,
    description TEXT NULL,
    data JSON NOT NULL,
    confidence_score DECIMAL(3,2) NULL,
    related_forms JSON NULL,
    is_active TINYINT(1) NOT NULL DEFAULT 1,
    expires_at TIMESTAMP NULL DEFAULT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY idx_insight_type (insight_type),
    KEY idx_confidence_score (confidence_score),
    KEY idx_active_created (is_active, created_at),
    KEY idx_expires_at (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci COMMENT='بینش‌ها';

CREATE TABLE external_integrations (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    integration_type VARCHAR(50) NOT NULL,
    integration_name VARCHAR(100) NOT NULL,
    config JSON NOT NULL,
    credentials JSON NULL COMMENT 'محرمانه',
    status ENUM('active', 'inactive', 'error', 'pending') NOT NULL DEFAULT 'pending',
    last_sync TIMESTAMP NULL DEFAULT NULL,
    error_log TEXT NULL,
    usage_stats JSON NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    KEY idx_integration_type (integration_type),
    KEY idx_status (status),
    KEY idx_last_sync (last_sync)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci COMMENT='یکپارچه‌سازی‌ها';
