-- Patterns that were right at least four times in five, and seen at least five times.

INSERT INTO code_templates (id, name, description, category, template_code, parameters, usage_count, success_rate)
SELECT 'pattern-' || id, json_extract(pattern_data, '$.query'), 'Made from a pattern of searches', 'from_pattern',
       '* {{program_id}}: ' || json_extract(pattern_data, '$.query'), '["program_id"]', frequency, confidence
FROM usage_patterns
WHERE confidence >= 0.8 AND frequency >= 5;
