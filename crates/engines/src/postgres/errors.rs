//! Errors of the driver and the server, classed.

use crate::DbError;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::about;
use tokio_postgres::error::ErrorPosition;

/// An error of the driver or server, classed. `end` is why the connection ended, where that is known.
pub(super) fn db_error(error: &tokio_postgres::Error, sql: &str, end: Option<&str>) -> DbError {
    let Some(native) = error.as_db_error() else {
        return driver_error(error, end);
    };
    let code = native.code().code().to_owned();
    let position = match native.position() {
        Some(ErrorPosition::Original(at)) => byte_offset(sql, *at),
        _ => None,
    };
    let own = Postgres.error_hint(&code, native.message());
    // The line of a COPY, which nothing else tells.
    let line = native.where_().filter(|place| place.starts_with("COPY "));
    let hint = [native.detail(), native.hint(), own.as_deref(), line]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ");
    let class = Postgres.error_class(&code, native.message());
    DbError {
        class,
        code,
        message: about(sql, native.message(), class == ErrorClass::Syntax),
        position,
        hint: (!hint.is_empty()).then(|| about(sql, &hint, false)),
    }
}

/// Our code for the one statement that must not be run as a plain text.
pub(super) const COPY_WITHOUT_DATA: &str = "copy-without-data";

fn driver_error(error: &tokio_postgres::Error, end: Option<&str>) -> DbError {
    use std::error::Error;
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let text = format!("{error}{cause}");
    let io = error
        .source()
        .is_some_and(|cause| cause.is::<std::io::Error>());
    if error.is_closed() || io {
        let why = end.map_or(text, str::to_owned);
        return DbError::new(
            ErrorClass::ConnectionLost,
            format!("the connection to the server was lost: {why}"),
        );
    }
    if text.starts_with("unexpected message") {
        // To a plain text the server answers so only where it wants COPY's data, or sends it.
        let mut error = DbError::new(
            ErrorClass::Syntax,
            "COPY … FROM stdin needs its data after it, ended by a line `\\.`; COPY … TO stdout has nowhere to go",
        );
        error.code = COPY_WITHOUT_DATA.into();
        return error;
    }
    let class = if text.contains("password") || text.contains("authentication") {
        ErrorClass::AuthFailed
    } else {
        ErrorClass::Other
    };
    DbError::new(class, text)
}

/// The server counts characters from 1.
fn byte_offset(sql: &str, position: u32) -> Option<usize> {
    let index = usize::try_from(position).ok()?.checked_sub(1)?;
    sql.char_indices()
        .map(|(at, _)| at)
        .chain([sql.len()])
        .nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        assert_eq!(byte_offset("SELEC 1", 1), Some(0));
        assert_eq!(byte_offset("'é' x", 5), Some(5));
        assert_eq!(byte_offset("x", 9), None);
    }
}
