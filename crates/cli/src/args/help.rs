//! Examples that stand below each verb's help.

pub const TOP: &str = "\
Examples:
  dunlin up --url sqlite:app.db          apply what is pending in migrations/
  dunlin status                          what is applied, pending, changed
  dunlin up --dry-run                    the exact SQL, nothing touched
  dunlin down --steps 1                  take the newest back
  dunlin copy sqlite:app.db postgres://app@localhost/app
  dunlin explain changed-script          what a code means and what to do

Exit codes: 0 done · 1 failed · 2 usage · 4 refused · 5 mismatch · 6 locked · 7 in doubt ·
8 partial · 10 pending (`status --exit-code`) · 130 interrupted";

pub const INIT: &str = "Examples:\n  dunlin init\n  dunlin --url postgres://app@localhost/app init";
pub const NEW: &str =
    "Examples:\n  dunlin new add_tags\n  dunlin new \"add tags to conversations\"";
pub const UP: &str = "\
Examples:
  dunlin up                              everything that is pending
  dunlin up --to 007                     up to and including 007
  dunlin up --dry-run                    the exact SQL with hazards and estimates
  dunlin up --create                     make the database first where it is missing
  dunlin up --no-wait                    leave with 6 if another runner is at work";
pub const DOWN: &str = "\
Examples:
  dunlin down                            the newest one
  dunlin down --steps 3                  the newest three
  dunlin down --to 004                   all above 004
  dunlin down --only 006                 just 006, if nothing applied requires it";
pub const STATUS: &str = "\
Examples:
  dunlin status
  dunlin status --format json
  dunlin status --exit-code              10 pending, 5 changed, 7 in doubt";
pub const DRIFT: &str = "\
Examples:
  dunlin drift                           against the catalog at the end of the last run
  dunlin drift --rebuild                 against what the migrations make on a scratch database";
pub const REPAIR: &str = "\
Examples:
  dunlin repair                          what could be repaired
  dunlin repair --accept 003 004         accept edited scripts
  dunlin repair --settle 005 done        say that the statement in doubt took effect
  dunlin repair --settle 005 not-done --why \"looked at the table\"";
pub const UNLOCK: &str = "\
Examples:
  dunlin unlock                          who holds the lease; clears a dead one
  dunlin unlock --force                  ends a living holder's session";
pub const RESET: &str = "Examples:\n  dunlin reset --to 004\n  dunlin reset --to 0                    nothing counts as applied";
pub const BASELINE: &str =
    "Examples:\n  dunlin baseline 012                    this database is at 012 already";
pub const DROP_ALL: &str = "\
Examples:
  dunlin drop-all --confirm shop         what `owns` names
  dunlin drop-all --confirm shop --everything";
pub const SCHEMA: &str = "\
Examples:
  dunlin schema
  dunlin schema --as md -o schema.md
  dunlin schema --as json | jq .tables";
pub const SUPPORT: &str = "Examples:\n  dunlin support -o report.md";
pub const DIGEST: &str = "\
Examples:
  dunlin digest                          every table of the project's database
  dunlin digest sqlite:app.db customers
  dunlin digest postgres://…/app --like sqlite:app.db";
pub const CHECK: &str = "\
Examples:
  dunlin check                           every rule; exit 5 where one of severity error is violated
  dunlin check orphaned-tags --format json";
pub const CLEAN: &str = "\
Examples:
  dunlin clean --dry-run                 the very numbers, and nothing touched
  dunlin clean orphaned-tags entries-once
  dunlin clean --undo                    takes the newest cleaning back";
pub const BACKUP: &str = "\
Examples:
  dunlin backup create --if-older-than 24h
  dunlin backup list
  dunlin backup verify                   the newest, restored into scratch and compared
  dunlin backup restore backups/app-….dunlin";
pub const CHECKPOINT: &str = "\
Examples:
  dunlin checkpoint create before-owner --tables contacts,messages
  dunlin checkpoint list
  dunlin checkpoint restore before-owner     the newest of that name; what it replaces is saved first
  dunlin checkpoint drop 20260105T020000-4be1a3";
pub const COMPLETIONS: &str =
    "Examples:\n  dunlin completions bash > /etc/bash_completion.d/dunlin";
pub const MAN: &str = "Examples:\n  dunlin man | man -l -";
pub const EXPLAIN: &str = "Examples:\n  dunlin explain\n  dunlin explain in-doubt";
pub const PLAN: &str = "\
Examples:
  dunlin plan show upgrade.plan.toml     what it will do, how risky, how it is taken back
  dunlin plan check upgrade.plan.toml    what is missing, all at once";
pub const RUN: &str = "\
Examples:
  dunlin run upgrade.plan.toml           everything up to the next gate
  dunlin run upgrade --until core-tables up to and including a phase
  dunlin run upgrade --from 1 --to 4     the phases of versions 2 to 4";
pub const APPROVE: &str = "\
Examples:
  dunlin approve upgrade core-tables --by \"Ann Lee\" --as dba
  dunlin approve upgrade core-tables --by Bob --confirm \"team available\"
  dunlin approve upgrade core-tables --by Bob --reject --note \"not before Monday\"
  dunlin approve upgrade cleanup --by Ann --accept drop-legacy";
pub const CONFIRM: &str = "\
Examples:
  dunlin confirm upgrade switch-balancer --by Ann
  dunlin confirm upgrade dashboard-looked-at --by Ann --no";
pub const PAUSE: &str =
    "Examples:\n  dunlin pause upgrade\n  dunlin resume upgrade\n  dunlin abort upgrade";
pub const ROLLBACK: &str = "\
Examples:
  dunlin rollback upgrade                all phases, newest first
  dunlin rollback upgrade --to core-tables
  dunlin rollback upgrade --emergency    `[emergency] stop`, the last verified backup, `start`";
pub const RUNS: &str = "\
Examples:
  dunlin runs                            what was run on this database, by whom, how it ended
  dunlin runs 20260105T020000-4f3a1c     one of them, with its phases and steps";
pub const REPORT: &str = "\
Examples:
  dunlin report upgrade -o upgrade.html  one page that needs nothing else
  dunlin report upgrade -o upgrade.xml   for a CI server";
pub const COPY: &str = "\
Examples:
  dunlin copy sqlite:app.db postgres://app@localhost/app
  dunlin copy sqlite:app.db postgres://app@localhost/app --dry-run     which types, and why
  dunlin copy old new --exclude 'log_*' --policy zero-date=coerce
  dunlin copy old new --on-error reject --rejects bad.ndjson
  dunlin copy old new --resume                                         after a crash";
pub const VERIFY: &str = "\
Examples:
  dunlin verify sqlite:app.db postgres://app@localhost/app
  dunlin verify old new --tables orders,customers
  dunlin verify old new --repair                                       rewrites the rows that differ";
pub const EXPORT: &str = "\
Examples:
  dunlin export -o out                   all tables, a file each, and a manifest
  dunlin export -o new --tables kb_entries --since kb_entries.created_at=2026-01-01
  dunlin export -o - | dunlin -d other import -
  dunlin export -o all.sqlite            one SQLite file";
pub const IMPORT: &str = "\
Examples:
  dunlin import out                      what `export -o out` wrote
  dunlin import out --skip-duplicates --key kb_entries:title,problem
  dunlin import people.csv --continue-on-error --rejects rejects.ndjson";
