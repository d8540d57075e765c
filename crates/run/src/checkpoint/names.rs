//! Tables that an undo has given another name by now. What is kept of them goes by the name that they had before it, under
//! which they come home.

use dunlin_core::schema::label;

/// A table that is there under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Renamed {
    schema: Option<String>,
    was: String,
    is: String,
}

/// The names of renamed tables. Of all others the name is what it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<Renamed>);

impl Names {
    /// A table that was `was` is there as `is`.
    pub fn add(&mut self, schema: Option<&str>, was: &str, is: &str) {
        let renamed = Renamed {
            schema: schema.map(str::to_owned),
            was: was.to_owned(),
            is: is.to_owned(),
        };
        if !was.eq_ignore_ascii_case(is) && !self.0.contains(&renamed) {
            self.0.push(renamed);
        }
    }

    /// The name under which a table is there.
    pub fn there<'n>(&'n self, schema: Option<&str>, was: &'n str) -> &'n str {
        let wanted = label(schema, was);
        let mut all = self.0.iter();
        let found =
            all.find(|one| label(one.schema.as_deref(), &one.was).eq_ignore_ascii_case(&wanted));
        found.map_or(was, |one| &one.is)
    }

    /// The same, as people see the names.
    pub fn label_there(&self, was: &str) -> String {
        let mut all = self.0.iter();
        let found =
            all.find(|one| label(one.schema.as_deref(), &one.was).eq_ignore_ascii_case(was));
        found.map_or_else(
            || was.to_owned(),
            |one| label(one.schema.as_deref(), &one.is),
        )
    }

    /// The name that a table had which is there under this one.
    pub fn was<'n>(&'n self, schema: Option<&str>, is: &'n str) -> &'n str {
        let wanted = label(schema, is);
        let mut all = self.0.iter();
        let found =
            all.find(|one| label(one.schema.as_deref(), &one.is).eq_ignore_ascii_case(&wanted));
        found.map_or(is, |one| &one.was)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_under_the_name_that_it_has_by_now() {
        let mut names = Names::default();
        names.add(None, "notes", "old_notes");
        names.add(Some("other"), "notes", "gone");
        names.add(None, "same", "Same");
        assert_eq!(names.there(None, "Notes"), "old_notes");
        assert_eq!(names.there(Some("other"), "notes"), "gone");
        assert_eq!(names.there(None, "same"), "same");
        assert_eq!(names.label_there("other.notes"), "other.gone");
        assert_eq!(names.label_there("third"), "third");
        assert_eq!(names.was(None, "old_notes"), "notes");
        assert_eq!(names.was(Some("other"), "gone"), "notes");
        assert_eq!(names.was(None, "gone"), "gone");
    }
}
