INSERT INTO code_templates (id, name, description, category, template_code, parameters, usage_count, success_rate) VALUES
    ('standard-batch', 'Batch program', 'Reads a file and writes a report', 'standard',
     '       IDENTIFICATION DIVISION.
       PROGRAM-ID. {{program_id}}.
       AUTHOR. {{author}}.
       ENVIRONMENT DIVISION.
       INPUT-OUTPUT SECTION.
       FILE-CONTROL.
           SELECT INFILE ASSIGN TO {{input_dd}}.',
     '["program_id", "author", "input_dd"]', 0, 1.0),
    ('standard-db2', 'DB2 program', 'Reads a table with a cursor', 'standard',
     '       IDENTIFICATION DIVISION.
       PROGRAM-ID. {{program_id}}.
       DATA DIVISION.
       WORKING-STORAGE SECTION.
           EXEC SQL INCLUDE SQLCA END-EXEC.
           EXEC SQL DECLARE C1 CURSOR FOR SELECT {{columns}} FROM {{table}} END-EXEC.',
     '["program_id", "columns", "table"]', 0, 1.0);
