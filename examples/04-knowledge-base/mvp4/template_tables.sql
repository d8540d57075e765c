CREATE TABLE code_templates (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    category TEXT,
    template_code TEXT NOT NULL,
    parameters JSON,
    validation_rules JSON,
    usage_count INTEGER DEFAULT 0,
    success_rate REAL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_code_templates_category ON code_templates (category);

CREATE TABLE template_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    template_id TEXT NOT NULL REFERENCES code_templates (id),
    user_id TEXT,
    parameters_used JSON,
    generated_code TEXT,
    successful BOOLEAN,
    timestamp DATETIME
);

CREATE INDEX idx_template_usage_template ON template_usage (template_id);

CREATE TABLE idz_projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    imported_at DATETIME,
    last_sync DATETIME,
    status TEXT DEFAULT 'active',
    metadata JSON
);

CREATE TABLE idz_files (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES idz_projects (id),
    file_path TEXT NOT NULL,
    file_type TEXT,
    content_hash TEXT,
    last_modified DATETIME,
    analysis_results JSON
);

CREATE INDEX idx_idz_files_project ON idz_files (project_id);

CREATE INDEX idx_idz_files_type ON idz_files (file_type);
