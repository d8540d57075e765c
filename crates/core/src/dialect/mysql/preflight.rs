//! What a server is asked before a plan begins.

use crate::dialect::preflight::{Lacking, PreflightDialect, Rights, privilege};
use crate::dialect::{Caps, Dialect, EngineKind};
use crate::preflight::rights::{Right, Wanted};
use crate::value::{Query, Row, Value};

/// The answers of MySQL and MariaDB.
#[derive(Debug)]
pub struct Preflight;

/// One line of `SHOW GRANTS`.
#[derive(Debug, PartialEq, Eq)]
struct Grant {
    revoked: bool,
    privileges: Vec<String>,
    /// The database's pattern; `None`: all.
    database: Option<String>,
    /// The table; `None`: all.
    table: Option<String>,
}

fn quote(name: &str) -> String {
    super::Mysql.quote(name)
}

impl Grant {
    /// Reads a line; `None` for one that gives no privileges on tables (roles, proxies, routines).
    fn read(line: &str) -> Option<Grant> {
        let (revoked, rest) = match line.strip_prefix("GRANT ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("REVOKE ")?),
        };
        let end = if revoked { " FROM " } else { " TO " };
        let (privileges, rest) = rest.split_once(" ON ")?;
        let (object, _) = rest.rsplit_once(end)?;
        let (database, table) = parts(object)?;
        Some(Grant {
            revoked,
            privileges: listed(privileges),
            database: database.filter(|name| name != "*"),
            table: table.filter(|name| name != "*"),
        })
    }

    fn covers(&self, database: &str, table: Option<&str>) -> bool {
        let of_database = match &self.database {
            None => true,
            // In the name of a database `_` and `%` are wildcards, in that of a table's database they are not.
            Some(pattern) if self.table.is_none() => like(pattern, database),
            Some(name) => name == database,
        };
        of_database
            && match (&self.table, table) {
                (None, _) => true,
                (Some(own), Some(table)) => own.eq_ignore_ascii_case(table),
                (Some(_), None) => false,
            }
    }

    fn gives(&self, privilege: &str) -> bool {
        self.privileges
            .iter()
            .any(|own| own == privilege || own == "ALL PRIVILEGES" || own == "ALL")
    }
}

/// The privileges of a list; those on columns are left out: they do not hold for the table.
fn listed(text: &str) -> Vec<String> {
    let (mut depth, mut list) = (0_u32, vec![String::new()]);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                list.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = list.last_mut() {
            last.push(c);
        }
    }
    let whole = list.iter().map(|one| one.trim().to_ascii_uppercase());
    whole.filter(|one| !one.contains('(')).collect()
}

/// `` `db`.`table` ``, `` `db`.* ``, `*.*`; `None` for what is no table.
fn parts(object: &str) -> Option<(Option<String>, Option<String>)> {
    let object = object.strip_prefix("TABLE ").unwrap_or(object);
    let (first, rest) = part(object)?;
    let (second, rest) = part(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some((Some(first), Some(second)))
}

fn part(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some(("*".into(), rest));
    }
    let Some(rest) = text.strip_prefix('`') else {
        let end = text.find('.').unwrap_or(text.len());
        let name = &text[..end];
        let plain = !name.is_empty() && !name.contains(' ');
        return plain.then(|| (name.to_owned(), &text[end..]));
    };
    let (mut name, mut from) = (String::new(), 0);
    loop {
        let at = from + rest[from..].find('`')?;
        name.push_str(&rest[from..at]);
        match rest[at + 1..].strip_prefix('`') {
            Some(_) => {
                name.push('`');
                from = at + 2;
            }
            None => return Some((name, &rest[at + 1..])),
        }
    }
}

/// Whether a name fits a pattern of `%`, `_` and `\`.
fn like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last `%` stood, and how much of the name it has taken: one step back is enough.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        let (fits, width) = match pattern.get(p) {
            Some('%') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('_') => (true, 1),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == name[n], 2),
            Some(c) => (*c == name[n], 1),
            None => (false, 0),
        };
        if fits {
            p += width;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

/// Who holds what a session waits for: definitions of tables first, then rows.
const BLOCKERS_MYSQL: &str = "SELECT DISTINCT CAST(b.PROCESSLIST_ID AS SIGNED), CONCAT(b.PROCESSLIST_USER, '@', b.PROCESSLIST_HOST), \
    LEFT(COALESCE(b.PROCESSLIST_INFO, 'between two statements'), 120) \
    FROM performance_schema.threads r JOIN performance_schema.metadata_locks w ON w.OWNER_THREAD_ID = r.THREAD_ID \
    AND w.LOCK_STATUS = 'PENDING' JOIN performance_schema.metadata_locks h ON h.OBJECT_TYPE = w.OBJECT_TYPE \
    AND h.OBJECT_SCHEMA = w.OBJECT_SCHEMA AND h.OBJECT_NAME = w.OBJECT_NAME AND h.LOCK_STATUS = 'GRANTED' \
    AND h.OWNER_THREAD_ID <> w.OWNER_THREAD_ID JOIN performance_schema.threads b ON b.THREAD_ID = h.OWNER_THREAD_ID \
    WHERE r.PROCESSLIST_ID = ? AND w.OBJECT_TYPE = 'TABLE' AND b.PROCESSLIST_ID <> ? AND w.OBJECT_NAME IN ({tables}) \
    UNION SELECT DISTINCT CAST(b.PROCESSLIST_ID AS SIGNED), CONCAT(b.PROCESSLIST_USER, '@', b.PROCESSLIST_HOST), \
    LEFT(COALESCE(b.PROCESSLIST_INFO, 'between two statements'), 120) \
    FROM performance_schema.data_lock_waits w JOIN performance_schema.threads r ON r.THREAD_ID = w.REQUESTING_THREAD_ID \
    JOIN performance_schema.threads b ON b.THREAD_ID = w.BLOCKING_THREAD_ID WHERE r.PROCESSLIST_ID = ?";

/// As above. Who holds a definition is known where the plugin metadata_lock_info is installed.
const BLOCKERS_MARIADB: &str = "SELECT DISTINCT CAST(b.ID AS SIGNED), CONCAT(b.USER, '@', b.HOST), \
    LEFT(COALESCE(b.INFO, 'between two statements'), 120) FROM information_schema.PROCESSLIST r \
    JOIN information_schema.METADATA_LOCK_INFO h ON h.THREAD_ID <> r.ID JOIN information_schema.PROCESSLIST b ON b.ID = h.THREAD_ID \
    WHERE r.ID = ? AND r.STATE = 'Waiting for table metadata lock' AND b.ID <> ? AND h.TABLE_SCHEMA = DATABASE() \
    AND h.TABLE_NAME IN ({tables}) \
    UNION SELECT DISTINCT CAST(b.trx_mysql_thread_id AS SIGNED), CONCAT(p.USER, '@', p.HOST), \
    LEFT(COALESCE(p.INFO, 'between two statements'), 120) FROM information_schema.INNODB_LOCK_WAITS w \
    JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id \
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id \
    JOIN information_schema.PROCESSLIST p ON p.ID = b.trx_mysql_thread_id WHERE r.trx_mysql_thread_id = ?";

impl PreflightDialect for Preflight {
    fn health(&self) -> &'static str {
        "SELECT 'the server may only be read (read_only)' FROM (SELECT 1) AS one WHERE @@global.read_only = 1"
    }
    fn read_health(&self, rows: &[Row]) -> Vec<String> {
        let said = rows.iter().filter_map(|row| row.first()?.as_str());
        said.map(str::to_owned).collect()
    }
    fn database_bytes(&self) -> Option<&'static str> {
        None
    }
    fn clock(&self) -> Option<&'static str> {
        Some("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")
    }
    fn transactions(&self, seconds: u64) -> Vec<Query> {
        // The view shows the time of the server's own zone, whatever the session's is.
        let now = "CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')";
        let usual = Query::new(
            format!(
                "SELECT CAST(t.trx_mysql_thread_id AS CHAR), CONCAT(p.USER, '@', p.HOST), \
                 CAST(TIMESTAMPDIFF(SECOND, t.trx_started, {now}) AS SIGNED), \
                 DATE_FORMAT(CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00'), '%Y-%m-%dT%H:%i:%sZ'), \
                 CONCAT(p.COMMAND, ': ', LEFT(COALESCE(t.trx_query, p.INFO, 'between two statements'), 120)) \
                 FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
                 WHERE p.ID <> CONNECTION_ID() AND (p.DB = DATABASE() OR p.DB IS NULL) \
                 AND TIMESTAMPDIFF(SECOND, t.trx_started, {now}) >= {seconds} \
                 ORDER BY t.trx_started LIMIT 20"
            ),
            vec![],
        );
        // On MySQL the usual views fail (3854) while any session's statement holds a letter beyond U+FFFF; these do not, and
        // ask for rights that not everybody has.
        let letters = Query::new(
            format!(
                "SELECT CAST(t.PROCESSLIST_ID AS CHAR), CONCAT(t.PROCESSLIST_USER, '@', t.PROCESSLIST_HOST), \
                 CAST(e.TIMER_WAIT DIV 1000000000000 AS SIGNED), \
                 DATE_FORMAT(UTC_TIMESTAMP() - INTERVAL (e.TIMER_WAIT DIV 1000000000000) SECOND, '%Y-%m-%dT%H:%i:%sZ'), \
                 CONCAT(t.PROCESSLIST_COMMAND, ': ', LEFT(COALESCE(t.PROCESSLIST_INFO, 'between two statements'), 120)) \
                 FROM performance_schema.events_transactions_current e JOIN performance_schema.threads t ON t.THREAD_ID = e.THREAD_ID \
                 WHERE e.STATE = 'ACTIVE' AND t.PROCESSLIST_ID <> CONNECTION_ID() \
                 AND (t.PROCESSLIST_DB = DATABASE() OR t.PROCESSLIST_DB IS NULL) \
                 AND e.TIMER_WAIT DIV 1000000000000 >= {seconds} ORDER BY e.TIMER_WAIT DESC LIMIT 20"
            ),
            vec![],
        );
        vec![usual, letters]
    }
    fn blockers(&self, caps: &Caps, session: i64, tables: &[&str]) -> Option<Query> {
        let (sql, sessions) = match caps.engine == EngineKind::Mariadb {
            true => (BLOCKERS_MARIADB, 2),
            false => (BLOCKERS_MYSQL, 2),
        };
        let mut params: Vec<Value> = vec![session.into(); sessions];
        let holes = vec!["?"; tables.len().max(1)].join(", ");
        match tables {
            [] => params.push(Value::Null),
            tables => params.extend(tables.iter().map(|table| Value::from(*table))),
        }
        params.push(session.into());
        Some(Query::new(sql.replace("{tables}", &holes), params))
    }
    fn extension(&self, _name: &str) -> Option<Query> {
        None
    }
    fn install(&self, extension: &str) -> String {
        format!("INSTALL SONAME '{}';", extension.replace('\'', "''"))
    }
    fn rights(&self, wanted: &[Wanted], _caps: &Caps) -> Option<Query> {
        (!wanted.is_empty()).then(|| Query::new("SHOW GRANTS", vec![]))
    }
    fn read_rights(&self, wanted: &[Wanted], rows: &[Row], database: &str) -> Rights {
        let lines: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.first()?.as_str())
            .collect();
        let grants: Vec<Grant> = lines.iter().filter_map(|line| Grant::read(line)).collect();
        // A role's rights stand with the role, and whether it is active is the session's affair.
        let by_role = lines
            .iter()
            .any(|line| line.starts_with("GRANT ") && !line.contains(" ON "));
        let mut rights = Rights::default();
        for (at, wanted) in wanted.iter().enumerate() {
            let database = wanted.schema.as_deref().unwrap_or(database);
            let table = wanted.table.as_deref();
            let named = match wanted.right {
                // Here a table is emptied by making it anew.
                Right::Truncate => privilege(Right::Drop),
                right => privilege(right),
            };
            let has = |revoked: bool| {
                grants.iter().any(|grant| {
                    let partial = !revoked || grant.database.is_some();
                    grant.revoked == revoked
                        && partial
                        && grant.covers(database, table)
                        && grant.gives(named)
                })
            };
            let closer = grants.iter().any(|grant| {
                !grant.revoked
                    && grant.database.is_some()
                    && grant.covers(database, table)
                    && grant.gives(named)
            });
            if has(false) && (!has(true) || closer) {
                continue;
            }
            let on = match table.filter(|_| !wanted.right.makes()) {
                Some(table) => format!("{}.{}", quote(database), quote(table)),
                None => format!("{}.*", quote(database)),
            };
            rights.lacking.push(Lacking {
                at,
                // Rights on a table that is not there can be given beside the one to make it, and not without.
                grant: match wanted.is_made && !wanted.right.makes() {
                    true => format!("GRANT CREATE, {named} ON {on} TO 'your_user'@'%';"),
                    false => format!("GRANT {named} ON {on} TO 'your_user'@'%';"),
                },
            });
        }
        if by_role && !rights.lacking.is_empty() {
            rights.lacking.clear();
            rights.unknown = Some(
                "the account has roles, and which of their rights count is known only when they are used"
                    .into(),
            );
        }
        rights
    }
    fn dump_tools(&self) -> &'static [&'static str] {
        &["mariadb-dump", "mysqldump"]
    }
    fn data_folder(&self) -> Option<&'static str> {
        Some("SELECT @@datadir")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lacking(grants: &[&str], right: Right, table: Option<&str>) -> bool {
        let wanted = Wanted {
            right,
            schema: None,
            table: table.map(str::to_owned),
            is_made: false,
            step: "s".into(),
        };
        let rows: Vec<Row> = grants.iter().map(|line| vec![(*line).into()]).collect();
        let rights = Preflight.read_rights(&[wanted], &rows, "shop_1");
        !rights.lacking.is_empty()
    }

    #[test]
    fn grants_are_read_as_the_server_reads_them() {
        let (alter, insert) = (Right::Alter, Right::Insert);
        for (grant, right, table, missing) in [
            (
                "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION",
                alter,
                "t",
                false,
            ),
            (
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*x'",
                alter,
                "t",
                true,
            ),
            (
                "GRANT SELECT, INSERT ON `shop_1`.* TO `a`@`%`",
                alter,
                "t",
                true,
            ),
            (
                "GRANT SELECT, INSERT ON `shop_1`.* TO `a`@`%`",
                insert,
                "t",
                false,
            ),
            (
                "GRANT INSERT ON `shop\\_1`.* TO `a`@`%`",
                insert,
                "t",
                false,
            ),
            ("GRANT INSERT ON `shop\\_2`.* TO `a`@`%`", insert, "t", true),
            ("GRANT INSERT ON `shop%`.* TO `a`@`%`", insert, "t", false),
            ("GRANT INSERT ON `sh%_1`.* TO `a`@`%`", insert, "t", false),
            (
                "GRANT INSERT ON `shop_1`.`t` TO `a`@`%`",
                insert,
                "t",
                false,
            ),
            (
                "GRANT INSERT ON `shop_1`.`other` TO `a`@`%`",
                insert,
                "t",
                true,
            ),
            (
                "GRANT INSERT (`a`, `b`), SELECT ON `shop_1`.`t` TO `a`@`%`",
                insert,
                "t",
                true,
            ),
            (
                "GRANT EXECUTE ON PROCEDURE `shop_1`.`t` TO `a`@`%`",
                insert,
                "t",
                true,
            ),
            ("nonsense", insert, "t", true),
        ] {
            assert_eq!(lacking(&[grant], right, Some(table)), missing, "{grant}");
        }
    }

    #[test]
    fn what_is_revoked_counts_and_roles_leave_it_open() {
        let insert = Right::Insert;
        let all = "GRANT INSERT ON *.* TO `a`@`%`";
        let revoked = "REVOKE INSERT ON `shop_1`.* FROM `a`@`%`";
        assert!(lacking(&[all, revoked], insert, Some("t")));
        assert!(!lacking(
            &[all, "REVOKE INSERT ON `other`.* FROM `a`@`%`"],
            insert,
            Some("t")
        ));
        let create = "GRANT CREATE ON `shop_1`.`t` TO `a`@`%`";
        assert!(
            lacking(&[create], Right::CreateTable, None),
            "one table is not every table"
        );
        assert!(
            !lacking(&["GRANT `role`@`%` TO `a`@`%`"], insert, Some("t")),
            "nobody can tell"
        );
    }
}
