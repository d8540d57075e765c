-- dunlin: description = "Conversations can be tagged"
-- dunlin: requires = ["001"]

CREATE TABLE {prefix}woo_ai_tags (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) NOT NULL,
    color CHAR(7) NOT NULL DEFAULT '#808080',
    PRIMARY KEY (id),
    UNIQUE KEY uq_tag (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE {prefix}woo_ai_conversation_tags (
    conversation_id BIGINT UNSIGNED NOT NULL,
    tag_id BIGINT UNSIGNED NOT NULL,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (conversation_id, tag_id),
    KEY idx_tag (tag_id),
    CONSTRAINT {prefix}woo_ai_ct_conversation FOREIGN KEY (conversation_id)
        REFERENCES {prefix}woo_ai_conversations (id) ON DELETE CASCADE,
    CONSTRAINT {prefix}woo_ai_ct_tag FOREIGN KEY (tag_id)
        REFERENCES {prefix}woo_ai_tags (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

ALTER TABLE {prefix}woo_ai_conversations ADD COLUMN tag_count INT UNSIGNED NOT NULL DEFAULT 0 AFTER total_messages;

INSERT INTO {prefix}woo_ai_tags (name, color) VALUES
    ('sales', '#2e7d32'),
    ('support', '#1565c0'),
    ('complaint', '#c62828'),
    ('سفارش', '#6a1b9a');
