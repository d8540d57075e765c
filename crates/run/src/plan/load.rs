//! A plan from the disk: its bytes and those of the files that it names.

use dunlin_core::finding::{Finding, Place, any_error};
use dunlin_core::limits::{PLAN_BYTES_MAX, SCRIPT_BYTES_MAX};
use dunlin_core::source::plan::{PlanDoc, PlanInput, parse_plan, plan_database};
use dunlin_core::source::{DatabaseConfig, Project};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads a plan: the plan with its warnings, or everything that is wrong with it.
pub fn load(
    path: &Path,
    project: &Project,
    config: &DatabaseConfig,
) -> Result<(PlanDoc, Vec<Finding>), Vec<Finding>> {
    let bytes = bytes_of(path)?;
    // A path without a folder has an empty parent, which is the working directory.
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let files = |file: &Path| read(&folder.join(file), SCRIPT_BYTES_MAX);
    let input = PlanInput {
        path: &path.to_string_lossy(),
        bytes: &bytes,
        files: &files,
    };
    match parse_plan(input, project, config) {
        (Some(doc), findings) if !any_error(&findings) => Ok((doc, findings)),
        (_, findings) => Err(findings),
    }
}

/// The database that a plan names, for whoever has to choose one before reading the whole of it. `None`: it names none.
pub fn database(path: &Path) -> Result<Option<String>, Vec<Finding>> {
    Ok(plan_database(&bytes_of(path)?))
}

/// The plans of a folder (`*.plan.toml`), by name.
pub fn plans_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(".plan.toml"))
        .collect();
    found.sort();
    found
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Vec<Finding>> {
    read(path, PLAN_BYTES_MAX).map_err(|why| {
        let shown = path.to_string_lossy();
        let message = format!("the plan `{shown}` cannot be read: {why}");
        let finding = Finding::error("file-missing", Place::file(&shown), message);
        let near = path.parent().map(plans_in).unwrap_or_default();
        let names: Vec<String> = near
            .iter()
            .take(9)
            .map(|near| format!("`{}`", near.display()))
            .collect();
        vec![match names.is_empty() {
            true => finding.help("give the path of a `*.plan.toml`"),
            false => finding.help(format!("there are {}", names.join(", "))),
        }]
    })
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => error.to_string(),
    };
    let metadata = std::fs::metadata(path).map_err(said)?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    // A pipe or a device has no end that could be waited for.
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = vec![];
    // One byte more than may be: a file that grows meanwhile is found out as well.
    let file = std::fs::File::open(path).map_err(said)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dunlin_core::redact::SecretUrl;
    use dunlin_core::source::plan::StepSpec;

    const PLAN: &str = r#"
name = "p"
[[phase]]
id = "one"
[[phase.step]]
id = "a"
sql = "sql/a.sql"
"#;

    fn of(folder: &Path, plan: &str) -> Result<(PlanDoc, Vec<Finding>), Vec<Finding>> {
        let project = Project::without_file(SecretUrl::new("sqlite:x.db"), folder.to_owned());
        let config = project.default_database().unwrap().clone();
        load(&folder.join(plan), &project, &config)
    }

    fn fault(folder: &Path, plan: &str) -> String {
        let findings = of(folder, plan).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        format!("{} {}", findings[0].code, findings[0].message)
    }

    #[test]
    fn a_plan_is_read_with_its_files_from_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sql")).unwrap();
        std::fs::write(at("p.plan.toml"), PLAN).unwrap();
        assert!(
            fault(folder.path(), "p.plan.toml").contains("a.sql` cannot be read: it is not there")
        );
        std::fs::create_dir(at("sql/a.sql")).unwrap();
        assert!(fault(folder.path(), "p.plan.toml").contains("it is a folder"));
        std::fs::remove_dir(at("sql/a.sql")).unwrap();
        std::fs::write(at("sql/a.sql"), [b'-', b'-', 0xff]).unwrap();
        assert!(fault(folder.path(), "p.plan.toml").starts_with("broken-utf8"));
        std::fs::write(at("sql/a.sql"), "SELECT 1;\n").unwrap();
        let (doc, findings) = of(folder.path(), "p.plan.toml").unwrap();
        assert_eq!(findings, []);
        let StepSpec::Sql(sql) = &doc.phases[0].steps[0].kind else {
            panic!("{doc:?}");
        };
        assert_eq!(sql.text, "SELECT 1;\n");
        assert!(sql.file.ends_with("sql/a.sql"), "{}", sql.file);
    }

    #[test]
    fn what_is_no_plan_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(fault(folder.path(), "none.plan.toml").contains("it is not there"));
        std::fs::create_dir(at("dir.plan.toml")).unwrap();
        assert!(fault(folder.path(), "dir.plan.toml").contains("it is a folder"));
        std::fs::write(at("bytes.plan.toml"), [b'a', 0xfe]).unwrap();
        assert!(fault(folder.path(), "bytes.plan.toml").starts_with("broken-utf8"));
        let big = std::fs::File::create(at("big.plan.toml")).unwrap();
        big.set_len(PLAN_BYTES_MAX + 1).unwrap();
        assert!(fault(folder.path(), "big.plan.toml").contains("is larger than"));
        assert_eq!(
            plans_in(folder.path()),
            [at("big.plan.toml"), at("bytes.plan.toml")]
        );
        assert_eq!(plans_in(&at("none")), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_database_of_a_plan_is_known_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.plan.toml");
        std::fs::write(&path, "name = \"p\"\ndatabase = 'other'\nbroken = ").unwrap();
        assert_eq!(database(&path), Ok(Some("other".to_owned())));
        std::fs::write(&path, PLAN).unwrap();
        assert_eq!(database(&path), Ok(None));
        assert!(database(folder.path()).is_err());
    }
}
