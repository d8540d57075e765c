//! What rules say once they are read, and what is wrong with faulty ones.

#![allow(clippy::unwrap_used)]
use super::*;

fn faults(toml: &str) -> Vec<String> {
    let table: RuleTable = toml::from_str(toml).unwrap();
    match read(&table) {
        Ok(rule) => panic!("{rule:?}"),
        Err(faults) => faults
            .into_iter()
            .map(|fault| format!("{} {}: {}", fault.at, fault.code, fault.message))
            .collect(),
    }
}

fn rule(toml: &str) -> Rule {
    read(&toml::from_str(toml).unwrap()).unwrap()
}

#[test]
fn every_kind_is_read_with_what_it_does() {
    let orphans = rule(
        "id = 'a'\nclean = 'delete'\norphans = { table = '{p}t', columns = ['e', 'f'], references = '{p}kb entries(id, \"x)' }",
    );
    assert_eq!(orphans.act, Act::Delete);
    let filled = orphans
        .filled(&[("p".to_owned(), "wp_".to_owned())].into())
        .unwrap();
    let Kind::Orphans { table, parent, .. } = filled.kind else {
        panic!()
    };
    assert_eq!(
        (table.as_str(), parent.table.as_str()),
        ("wp_t", "wp_kb entries")
    );
    assert_eq!(parent.columns, ["id", "\"x"]);
    assert_eq!(orphans.filled(&BTreeMap::new()), Err("p".to_owned()));
    let archive = rule(
        "id = 'a'\narchive = { table = 't', set = 'archived = TRUE', where = 'usage < 5', older_than = '365d', by = 'at' }",
    );
    assert_eq!(archive.act, Act::Archive);
    let same = rule(
        "id = 'a'\nsame_owner = { table = 'm', column = 'user_id', via = 'contact_id -> contacts' }",
    );
    let Kind::SameOwner { via, parent, .. } = same.kind else {
        panic!()
    };
    assert_eq!(
        (via, parent.columns),
        (vec!["contact_id".to_owned()], vec![])
    );
    assert_eq!(rule("id = 'a'\nsql = 'SELECT 1'").act, Act::Nothing);
    assert_eq!(
        rule("id = 'a'\noptimize = { tables = ['t'] }").act,
        Act::Optimize
    );
    let unique = "id = 'a'\nclean = 'delete-duplicates'\nunique = { table = 't', columns = ['a'] }";
    assert_eq!(rule(unique).act, Act::Duplicates);
}

#[test]
fn all_faults_of_a_rule_are_found_at_once() {
    insta::assert_debug_snapshot!([
        faults("id = 'x'"),
        faults("id = 'x'\nsql = 'a'\noptimize = { tables = ['t'] }"),
        faults(
            "id = ' '\nclean = 'delete-duplicates'\non_children = 'repoint'\norphans = { table = '', columns = ['a', 'a'], references = 'b(c)', in_fleet = 'f' }"
        ),
        faults("id = 'x'\nclean = 'delete'\nunique = { table = 't', columns = [] }"),
        faults("id = 'x'\narchive = { table = 't', to_table = 't', older_than = '3d' }"),
        faults("id = 'x'\narchive = { table = 't', to_table = 'u' , set = 'b'}"),
        faults("id = 'x'\nclean = 'delete'\nsql = ''"),
        faults("id = 'x'\nsame_owner = { table = 't', column = 'a', via = 'b' }"),
    ]);
}
