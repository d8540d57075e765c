//! The table that a statement names: with its schema or without, as it is called or in another case.

use super::{Catalog, Table};
use crate::sql::ObjectRef;

/// Where tables are looked for by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The schema that goes without saying in a catalog, by its name.
    pub default: Option<String>,
    /// The schemas in which the session looks for a name without one, in their order; `None`: the one that goes without
    /// saying. Empty: there is but one.
    pub path: Vec<Option<String>>,
}

impl Lookup {
    /// The table of a catalog that a statement names.
    pub fn table<'c>(&self, catalog: &'c Catalog, named: &ObjectRef) -> Option<&'c Table> {
        self.find(
            &catalog.tables,
            |table| (table.schema.as_deref(), table.name.as_str()),
            (named.schema.as_deref(), named.name.as_str()),
        )
    }

    /// The one of `all` that a statement names. `of`: schema and name of one. Where none is called just so, one that is in
    /// another case.
    pub fn find<'t, T>(
        &self,
        all: &'t [T],
        of: impl Fn(&T) -> (Option<&str>, &str),
        (schema, name): (Option<&str>, &str),
    ) -> Option<&'t T> {
        let just_so = |one: &T| of(one).1 == name;
        let alike = |one: &T| of(one).1.eq_ignore_ascii_case(name);
        let found = self.first(all.iter().filter(|one| just_so(one)), &of, schema);
        found.or_else(|| self.first(all.iter().filter(|one| alike(one)), &of, schema))
    }

    fn first<'t, T>(
        &self,
        mut named: impl Iterator<Item = &'t T>,
        of: impl Fn(&T) -> (Option<&str>, &str),
        schema: Option<&str>,
    ) -> Option<&'t T> {
        let Some(schema) = schema else {
            let place = |one: &&T| {
                let mut path = self.path.iter();
                let place = path.position(|schema| schema.as_deref() == of(one).0);
                place.unwrap_or(usize::MAX)
            };
            return named.min_by_key(place);
        };
        let default = self.default.as_deref();
        let said = !default.is_some_and(|default| default.eq_ignore_ascii_case(schema));
        named.find(|one| of(one).0 == said.then_some(schema))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_where_it_is_looked_for() {
        let all = [
            (None, "Notes"),
            (None, "notes"),
            (Some("app"), "notes"),
            (Some("app"), "Tags"),
            (Some("other"), "tags"),
        ];
        let place = |lookup: &Lookup, schema, name| {
            let found = lookup.find(&all, |one| *one, (schema, name));
            found.and_then(|found| all.iter().position(|one| std::ptr::eq(one, found)))
        };
        let plain = Lookup {
            default: Some("public".into()),
            path: vec![None],
        };
        assert_eq!(place(&plain, None, "notes"), Some(1));
        assert_eq!(place(&plain, None, "NOTES"), Some(0));
        assert_eq!(place(&plain, Some("public"), "notes"), Some(1));
        assert_eq!(place(&plain, Some("app"), "notes"), Some(2));
        assert_eq!(place(&plain, Some("app"), "TAGS"), Some(3));
        assert_eq!(place(&plain, Some("third"), "notes"), None);
        let elsewhere = Lookup {
            path: vec![Some("app".into()), None],
            ..plain
        };
        assert_eq!(place(&elsewhere, None, "notes"), Some(2));
        assert_eq!(place(&elsewhere, None, "Notes"), Some(0));
        assert_eq!(place(&elsewhere, None, "tags"), Some(4));
    }
}
