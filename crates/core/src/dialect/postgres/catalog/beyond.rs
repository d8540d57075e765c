//! What a catalog does not show, so that whoever takes a database elsewhere can name it.

use super::{OURS, not_of_extension};

/// Kind by kind: what is named, and the text that makes it where the server has one.
pub(super) fn query() -> String {
    let of = |class: &str, oid: &str| format!("{OURS} AND {}", not_of_extension(class, oid));
    let own =
        |class: &str, oid: &str| format!("{oid} >= 16384 AND {}", not_of_extension(class, oid));
    [
        format!(
            "SELECT 'rule ' || r.rulename || ' of view ' || c.oid::regclass, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN \
             pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' \
             AND c.relkind IN ('v', 'm') AND {}",
            of("pg_class", "c.oid")
        ),
        format!(
            "SELECT 'extended statistics ' || s.stxname, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN \
             pg_namespace n ON n.oid = s.stxnamespace WHERE {OURS}"
        ),
        format!(
            "SELECT 'operator ' || o.oid::regoperator, NULL FROM pg_operator o JOIN pg_namespace n ON n.oid = \
             o.oprnamespace WHERE {}",
            of("pg_operator", "o.oid")
        ),
        format!(
            "SELECT 'operator class ' || o.opcname, NULL FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace \
             WHERE {}",
            of("pg_opclass", "o.oid")
        ),
        format!(
            "SELECT 'cast from ' || format_type(k.castsource, NULL) || ' to ' || format_type(k.casttarget, NULL), NULL FROM \
             pg_cast k WHERE NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = 'pg_cast'::regclass AND i.objid = k.oid \
             AND i.deptype = 'i') AND {}",
            own("pg_cast", "k.oid")
        ),
        format!(
            "SELECT 'text search configuration ' || t.oid::regconfig, NULL FROM pg_ts_config t JOIN pg_namespace n ON n.oid \
             = t.cfgnamespace WHERE {}",
            of("pg_ts_config", "t.oid")
        ),
        format!(
            "SELECT 'text search dictionary ' || t.oid::regdictionary, NULL FROM pg_ts_dict t JOIN pg_namespace n ON n.oid \
             = t.dictnamespace WHERE {}",
            of("pg_ts_dict", "t.oid")
        ),
        format!(
            "SELECT 'event trigger ' || e.evtname, NULL FROM pg_event_trigger e WHERE {}",
            not_of_extension("pg_event_trigger", "e.oid")
        ),
        "SELECT 'publication ' || p.pubname, NULL FROM pg_publication p".to_owned(),
        "SELECT 'the ' || count(*) || ' large objects', NULL FROM pg_largeobject_metadata HAVING count(*) > 0".to_owned(),
        format!(
            "SELECT 'rights on ' || c.oid::regclass, array_to_string(c.relacl, ', ') FROM pg_class c JOIN pg_namespace n ON \
             n.oid = c.relnamespace WHERE c.relacl IS NOT NULL AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND {}",
            of("pg_class", "c.oid")
        ),
    ]
    .join(" UNION ALL ")
        + " ORDER BY 1"
}
