//! Native error numbers, and what kind of trouble each is. MySQL and MariaDB share most of them.

use crate::dialect::SCRATCH_DATABASE;
use crate::failure::ErrorClass;

/// The class of an error number.
pub fn class(code: &str, message: &str) -> ErrorClass {
    let code: u32 = code.parse().unwrap_or(0);
    match code {
        // The server shuts down; the session's fate is what a lost connection's is.
        1053 | 1927 | 4031 | 3169 => ErrorClass::ConnectionLost,
        1049 => ErrorClass::DatabaseMissing,
        // 1044 is also what a login gets that may not enter the database; the hint names the grant.
        1045 | 1698 | 1251 | 3118 | 1820 | 1862 | 4151 => ErrorClass::AuthFailed,
        3159 | 4227 => ErrorClass::Tls,
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 1419 | 1095 | 3619 | 1133 | 1132 => {
            ErrorClass::PermissionDenied
        }
        1040 | 1203 | 1226 => ErrorClass::TooManyConnections,
        1213 => ErrorClass::Deadlock,
        1020 => ErrorClass::Serialization,
        1205 | 3572 => ErrorClass::LockTimeout,
        3024 | 1969 => ErrorClass::StatementTimeout,
        1317 => ErrorClass::Cancelled,
        1064 | 1149 | 1059 | 1065 | 1102 | 1103 | 1166 => ErrorClass::Syntax,
        // 1826, and InnoDB's 1005 and 1022 with errno 121: a constraint of that name is there.
        1050 | 1061 | 1007 | 1304 | 1359 | 1537 | 1826 | 3822 | 1517 | 1396 => {
            ErrorClass::ObjectExists
        }
        1005 | 1022 if message.contains("121") => ErrorClass::ObjectExists,
        1060 => ErrorClass::ColumnExists,
        1051 | 1054 | 1072 | 1091 | 1094 | 1109 | 1146 | 1176 | 1305 | 1360 | 1539 | 1128
        | 3821 | 4091 | 4092 | 1507 => ErrorClass::ObjectMissing,
        3780 | 1215 | 1822 | 1825 | 1824 | 1451 | 1452 | 1216 | 1217 | 1239 | 3730 => {
            ErrorClass::ForeignKey
        }
        1005 if message.contains("150") => ErrorClass::ForeignKey,
        1062 | 1586 | 1859 => ErrorClass::Unique,
        1048 | 1138 | 1263 | 1364 => ErrorClass::NotNull,
        3819 | 4025 => ErrorClass::Check,
        1021 | 1114 => ErrorClass::DiskFull,
        3 | 1026 | 1030 | 1105 | 1180 | 1034
            if message.contains("errno: 28") || message.contains("error 28") =>
        {
            ErrorClass::DiskFull
        }
        1290 | 1836 | 1792 | 3539 => ErrorClass::ReadOnly,
        1264 | 1265 | 1292 | 1366 | 1406 | 1690 | 1365 | 1411 | 3140 | 3141 | 1526 | 1416
        | 4038 => ErrorClass::Data,
        _ => ErrorClass::Other,
    }
}

/// Advice for an error number, where more than its class can be said.
pub fn hint(code: &str, message: &str) -> Option<String> {
    let number: u32 = code.parse().unwrap_or(0);
    let text = match number {
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 1095 => return Some(right(number, message)),
        1419 => {
            "binary logging is on: a person with SUPER runs \
             `SET GLOBAL log_bin_trust_function_creators = 1` once"
        }
        1045 => {
            "check user and password of the URL (special characters are percent-encoded), \
             `MYSQL_PWD` and `~/.my.cnf`"
        }
        1698 => {
            "this account logs in by unix socket only: give `?socket=/run/mysqld/mysqld.sock`, or \
             a user with a password"
        }
        1049 => "`dunlin up --create` makes it, if this user may",
        3159 => "the server takes encrypted connections only: add `ssl-mode=REQUIRED` to the URL",
        1040 | 1203 => {
            "all connections of the server are in use; raise `max_connections` or close some"
        }
        1205 | 3572 => "another transaction holds the lock; `lock_timeout` bounds the wait",
        1021 | 1114 => {
            "make room on the server's disk (or raise the table's size limit), then run the command again"
        }
        1290 | 1836 => "the server is read-only (a replica?); give the URL of the primary",
        1792 => "the session may only read",
        3780 | 1215 | 1822 => {
            "both columns of a foreign key need the same type, sign, length and collation, and the \
             referenced column needs an index"
        }
        1824 => "the referenced table must be made first",
        1005 if message.contains("150") => {
            "`SHOW ENGINE INNODB STATUS` says why under LATEST FOREIGN KEY ERROR"
        }
        1451 => "rows of another table still point at this one",
        1452 => "the value points at no row of the other table",
        1118 => "the row is longer than the storage engine allows: make some columns TEXT or BLOB",
        _ => return None,
    };
    Some(text.into())
}

/// Names the right that is missing and the statement that grants it.
fn right(number: u32, message: &str) -> String {
    // `INSERT command denied to user 'a'@'h' for table 'd'.'t'`, `Access denied for user 'a'@'h' to database 'd'`
    let user = message
        .split_once("user ")
        .map(|(_, rest)| rest.split(' ').next().unwrap_or_default())
        .filter(|user| user.starts_with('\'') && user.contains("'@'"))
        .unwrap_or("'your_user'@'%'");
    let object = |mark: &str| {
        message
            .rsplit_once(mark)
            .map(|(_, rest)| rest.replace('\'', "`").trim_end_matches('`').to_owned() + "`")
    };
    match number {
        1044 => {
            let mut database = object("to database ").unwrap_or_else(|| "your_database".into());
            if database[1..].starts_with(SCRATCH_DATABASE) {
                // The next one has another name.
                database = format!("`{}%`", SCRATCH_DATABASE.replace('_', "\\_"));
            }
            format!(
                "every right on this database is missing: `GRANT ALL PRIVILEGES ON {database}.* TO {user}`"
            )
        }
        1142 | 1143 => {
            let verb = message.split(" command").next().unwrap_or("ALL");
            let on = object("for table ").unwrap_or_else(|| "your_database.*".into());
            let on = if on.contains('.') {
                on
            } else {
                format!("your_database.{on}")
            };
            // The table may not be there yet, and the next statement may need another right: one statement for all.
            let all = on.split_once('.').map_or("your_database", |(all, _)| all);
            format!(
                "the right {verb} is missing: `GRANT {verb} ON {on} TO {user}`; \
                 all that migrations need: `GRANT ALL PRIVILEGES ON {all}.* TO {user}`"
            )
        }
        1227 => {
            let need = message
                .split_once("least one of) the ")
                .or_else(|| message.split_once("need "))
                .and_then(|(_, rest)| rest.split(" privilege").next())
                .unwrap_or("SUPER");
            let one = need.split(&[',', ' '][..]).next().unwrap_or(need);
            format!("the right {need} is missing: `GRANT {one} ON *.* TO {user}`")
        }
        1370 => {
            let verb = message.split(" command").next().unwrap_or("EXECUTE");
            format!(
                "the right {} is missing: `GRANT {} ON your_database.* TO {user}`",
                verb.to_uppercase(),
                verb.to_uppercase()
            )
        }
        1095 => format!(
            "the right to end other sessions is missing: `GRANT CONNECTION_ADMIN ON *.* TO {user}` \
             (MariaDB: `CONNECTION ADMIN`)"
        ),
        _ => format!("`GRANT GRANT OPTION ON *.* TO {user}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named_with_the_statement_that_grants_it() {
        for (code, message, expected) in [
            (
                "1142",
                "CREATE command denied to user 'app'@'localhost' for table `d`.`t`",
                "`GRANT CREATE ON `d`.`t` TO 'app'@'localhost'`",
            ),
            (
                "1142",
                "INSERT command denied to user 'app'@'localhost' for table 't'",
                "GRANT INSERT ON your_database.`t` TO 'app'@'localhost'",
            ),
            (
                "1044",
                "Access denied for user 'app'@'%' to database 'shop'",
                "GRANT ALL PRIVILEGES ON `shop`.* TO 'app'@'%'",
            ),
            (
                "1227",
                "Access denied; you need (at least one of) the SUPER, BINLOG ADMIN privilege(s) for this operation",
                "GRANT SUPER ON *.* TO",
            ),
        ] {
            let hint = hint(code, message).unwrap_or_default();
            assert!(hint.contains(expected), "{message}: {hint}");
        }
    }

    #[test]
    fn codes_are_classed() {
        for (code, message, expected) in [
            ("1213", "", ErrorClass::Deadlock),
            ("1969", "", ErrorClass::StatementTimeout),
            (
                "1005",
                "Can't create table `d`.`t` (errno: 150 \"Foreign key constraint is incorrectly formed\")",
                ErrorClass::ForeignKey,
            ),
            (
                "1005",
                "Can't create table `d`.`t` (errno: 121 \"Duplicate key on write or update\")",
                ErrorClass::ObjectExists,
            ),
            (
                "1030",
                "Got error 28 \"No space left on device\" from storage engine",
                ErrorClass::DiskFull,
            ),
            ("1146", "", ErrorClass::ObjectMissing),
            ("4091", "", ErrorClass::ObjectMissing),
        ] {
            assert_eq!(class(code, message), expected, "{code}");
        }
    }
}
