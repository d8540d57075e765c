//! Patterns of object names: `*` is any run of characters, `?` is one. Case counts: a pattern bounds what `drop-all` may
//! drop, and a name that differs in case may be somebody else's.

/// Whether a name fits a pattern. Linear in the product of the lengths at worst; nothing recurses.
pub fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    p = at + 1;
                    n = taken + 1;
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a name fits one of several patterns; no patterns fit everything (`owns` left out: everything is ours).
/// Names may be qualified: `schema.table` fits a pattern of either form.
pub fn owned(patterns: &[String], schema: Option<&str>, name: &str) -> bool {
    patterns.is_empty() || any(patterns, schema, name)
}

/// Whether a name fits one of several patterns; no patterns fit nothing.
pub fn any(patterns: &[String], schema: Option<&str>, name: &str) -> bool {
    patterns.iter().any(|pattern| {
        fits(pattern, name)
            || (pattern.contains('.')
                && schema.is_some_and(|schema| fits(pattern, &format!("{schema}.{name}"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_as_people_expect() {
        for (pattern, name, yes) in [
            ("wp_woo_ai_*", "wp_woo_ai_settings", true),
            ("wp_woo_ai_*", "wp_users", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*_log*", "wp_log_old", true),
            ("WP_Users", "wp_users", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
            ("جدول_*", "جدول_یک", true),
        ] {
            assert_eq!(fits(pattern, name), yes, "{pattern} {name}");
        }
        assert!(owned(&[], None, "x"));
        assert!(!any(&[], None, "x"));
        assert!(any(&["app.*".into()], Some("app"), "users"));
        assert!(!any(&["app.*".into()], Some("public"), "users"));
    }
}
