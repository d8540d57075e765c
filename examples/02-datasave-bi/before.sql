-- The database of the form builder as it stands before the plan. Made up; texts in Persian, Turkish and emoji.

CREATE TABLE users (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username VARCHAR(100) NOT NULL UNIQUE,
    display_name VARCHAR(200)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

CREATE TABLE forms (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id INT UNSIGNED NOT NULL,
    title VARCHAR(255) NOT NULL,
    CONSTRAINT fk_forms_user FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

CREATE TABLE form_fields (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    form_id INT UNSIGNED NOT NULL,
    label VARCHAR(255) NOT NULL,
    field_type VARCHAR(40) NOT NULL,
    CONSTRAINT fk_fields_form FOREIGN KEY (form_id) REFERENCES forms (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

CREATE TABLE form_submissions (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    form_id INT UNSIGNED NOT NULL,
    submitted JSON NOT NULL,
    created_at DATETIME NOT NULL,
    KEY idx_form_created (form_id, created_at),
    CONSTRAINT fk_submissions_form FOREIGN KEY (form_id) REFERENCES forms (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

CREATE TABLE system_settings (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    setting_key VARCHAR(100) NOT NULL UNIQUE,
    setting_value TEXT,
    setting_type VARCHAR(20) NOT NULL DEFAULT 'string',
    description VARCHAR(255),
    is_system TINYINT(1) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

CREATE TABLE system_logs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    level VARCHAR(10) NOT NULL,
    message TEXT NOT NULL,
    created_at DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_persian_ci;

INSERT INTO users (username, display_name) VALUES ('reza', 'رضا احمدی'), ('ayse', 'Ayşe Yılmaz'), ('sara', 'سارا 🌱');

INSERT INTO forms (user_id, title) VALUES (1, 'فرم ثبت‌نام'), (1, 'نظرسنجی'), (2, 'İletişim formu'), (3, 'Order 🛒');

INSERT INTO form_fields (form_id, label, field_type) VALUES
    (1, 'نام', 'text'), (1, 'ایمیل', 'email'), (2, 'امتیاز', 'number'), (3, 'Mesajınız', 'textarea'), (4, 'Quantity', 'number');

INSERT INTO form_submissions (form_id, submitted, created_at) VALUES
    (1, '{"نام": "علی", "ایمیل": "ali@example.org"}', '2026-01-02 10:00:00'),
    (1, '{"نام": "مریم"}', '2026-01-02 11:00:00'),
    (2, '{"امتیاز": 5}', '2026-01-03 09:30:00'),
    (3, '{"Mesajınız": "Teşekkürler"}', '2026-01-03 12:00:00'),
    (4, '{"Quantity": 3}', '2026-01-04 08:00:00');

INSERT INTO system_settings (setting_key, setting_value, setting_type, description, is_system) VALUES
    ('site_title', 'دیتاسیو', 'string', 'عنوان سایت', 1),
    ('embed_allowed_domains', '["old.example.org"]', 'json', 'دامنه‌های مجاز', 0);

INSERT INTO system_logs (level, message, created_at) VALUES ('info', 'سامانه راه‌اندازی شد', '2026-01-01 00:00:00');
