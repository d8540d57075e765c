//! A folder of migrations: names, pairs of scripts, headers, order. Every fault of every file at once.

use super::header::{Directive, Header, Said, directives, script_text};
use super::manifest::{self, Manifest};
use super::order::check_requirements;
use super::script::{Part, Reader};
use super::{DatabaseConfig, ManifestPolicy, Migration, Script, Version};
use crate::dialect::Dialect;
use crate::finding::{Finding, Place};
use crate::limits::{SCRIPT_BYTES_MAX, VERSION_DIGITS_MAX};
use crate::sql::LexMode;
use std::collections::BTreeMap;
use std::ops::Range;

/// A file of the folder, as the caller read it.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path, as shown to people.
    pub path: String,
    /// The bare name.
    pub name: String,
    /// The bytes; empty where the file was too large to be read.
    pub bytes: Vec<u8>,
    /// The size on disk.
    pub size: u64,
}

impl SourceFile {
    /// A file with its bytes.
    pub fn new(
        path: impl Into<String>,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        SourceFile {
            path: path.into(),
            name: name.into(),
            bytes,
            size,
        }
    }

    /// A file larger than [`SCRIPT_BYTES_MAX`], which the caller did not read.
    pub fn too_large(path: impl Into<String>, name: impl Into<String>, size: u64) -> Self {
        SourceFile {
            path: path.into(),
            name: name.into(),
            bytes: vec![],
            size,
        }
    }
}

impl std::fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceFile({}, {} bytes)", self.path, self.size)
    }
}

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileName {
    /// A migration: version and name.
    Up(Version, String),
    /// An undo script: version and name.
    Undo(Version, String),
    /// Known and silent.
    Silent,
    /// A script whose name fits no rule; with the name that it may have been meant to have.
    Bad(Option<String>),
    /// Anything else.
    Stray,
}

/// What a name says, by the grammar `{version}_{snake_case_name}.sql`.
pub fn file_name(name: &str) -> FileName {
    let upper = name.to_ascii_uppercase();
    if name.starts_with('.')
        || upper.starts_with("README")
        || upper.ends_with(".MD")
        || name == manifest::FILE
    {
        return FileName::Silent;
    }
    let Some(stem) = name.strip_suffix(".sql") else {
        let is_sql = upper.ends_with(".SQL");
        return if is_sql {
            FileName::Bad(meant(&name[..name.len() - 4]))
        } else {
            FileName::Stray
        };
    };
    let (stem, undo) = match stem.strip_suffix(".undo") {
        Some(stem) => (stem, true),
        None => (stem, false),
    };
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let (version, rest) = stem.split_at(digits);
    match rest.strip_prefix('_') {
        Some(rest) if digits > 0 && digits <= VERSION_DIGITS_MAX && is_snake(rest) => {
            let version = Version(version.to_owned());
            if undo {
                FileName::Undo(version, rest.to_owned())
            } else {
                FileName::Up(version, rest.to_owned())
            }
        }
        _ => FileName::Bad(meant(stem)),
    }
}

/// Letters (of any script, without capitals), digits and single words joined by `_`.
pub(super) fn is_snake(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c == '_' || (c.is_alphanumeric() && !c.is_uppercase()) || is_mark(c))
}

/// Marks that belong to the letter before them (vowel signs, the joiners of Persian and Indic scripts).
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}')
}

/// The name that a script may have been meant to have: `V2__Add-Users` is `2_add_users`.
fn meant(stem: &str) -> Option<String> {
    let from = stem.find(|c: char| c.is_ascii_digit())?;
    let prefix = &stem[..from];
    if prefix.len() > 1 || prefix.chars().any(|c| !c.is_ascii_alphabetic()) {
        return None;
    }
    let digits = stem[from..].bytes().take_while(u8::is_ascii_digit).count();
    let (version, rest) = stem[from..].split_at(digits);
    let name = super::scaffold::snake_case(rest)?;
    (digits <= VERSION_DIGITS_MAX).then(|| format!("{version}_{name}.sql"))
}

struct Found<'a> {
    file: &'a SourceFile,
    version: Version,
    name: String,
}

/// Reads a folder. Migrations come in the order of their versions; with errors among the findings they are as far as
/// they could be read, and nothing may be applied.
pub fn parse_folder(
    files: &[SourceFile],
    db: &DatabaseConfig,
    dialect: &dyn Dialect,
    mode: &LexMode,
) -> (Vec<Migration>, Vec<Finding>) {
    let mut findings = vec![];
    let mut files: Vec<&SourceFile> = files.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let manifest = read_manifest(&files, db, &mut findings);
    let (mut ups, undos) = sort_files(&files, manifest.as_ref(), &mut findings);
    ups.sort_by(|a, b| {
        a.version
            .cmp(&b.version)
            .then_with(|| a.file.name.cmp(&b.file.name))
    });
    drop_duplicates(&mut ups, &mut findings);
    let reader = Reader {
        dialect,
        mode,
        rules: dialect.lex_rules(mode),
        db,
    };
    let mut undo_of = pair(&ups, undos, &mut findings);
    let pairs: Vec<_> = ups
        .iter()
        .map(|up| (up, undo_of.remove(&up.version)))
        .collect();
    let mut migrations = Vec::with_capacity(ups.len());
    let (mut required, mut unreadable) = (vec![], vec![]);
    for (up, (read, faults)) in ups.iter().zip(read_all(&reader, &pairs)) {
        findings.extend(faults);
        match read {
            Some((migration, requires)) => {
                migrations.push(migration);
                required.push(requires);
            }
            None => unreadable.push(up.version.clone()),
        }
    }
    if let Some(manifest) = &manifest {
        manifest.apply(
            &mut migrations,
            &mut required,
            &unreadable,
            db,
            &mut findings,
        );
    }
    check_requirements(&mut migrations, required, &unreadable, &mut findings);
    (migrations, findings)
}

type ReadScript = (Option<(Migration, Requires)>, Vec<Finding>);

/// Reads the scripts, on several threads where they are many: a folder of thousands is read at every start.
fn read_all(reader: &Reader<'_>, pairs: &[(&Found<'_>, Option<Found<'_>>)]) -> Vec<ReadScript> {
    let one = |(up, undo): &(&Found<'_>, Option<Found<'_>>)| {
        let mut findings = vec![];
        let read = migration(reader, up, undo.as_ref(), &mut findings);
        (read, findings)
    };
    let parts = in_parts(pairs, |part| part.iter().map(one).collect::<Vec<_>>());
    parts.into_iter().flatten().collect()
}

/// Does something with all of many, in parts of their order, each on a thread of its own where they are many.
pub fn in_parts<T: Sync, R: Send>(all: &[T], one: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    /// Enough work for a thread to be worth its start: about half a millisecond.
    const EACH: usize = 64;
    /// More would only help where a folder is larger than any that is known, and each start costs.
    const THREADS_MAX: usize = 4;
    let threads = (all.len() / EACH).clamp(1, THREADS_MAX);
    if threads == 1 {
        return vec![one(all)];
    }
    let share = all.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let (own, others) = all.split_at(share.min(all.len()));
        let one = &one;
        let parts: Vec<_> = others
            .chunks(share)
            .map(|part| scope.spawn(move || one(part)))
            .collect();
        let mut done = vec![one(own)];
        for part in parts {
            // A thread that panicked would have panicked here too, without threads.
            let part = part.join();
            done.push(part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}

fn read_manifest(
    files: &[&SourceFile],
    db: &DatabaseConfig,
    findings: &mut Vec<Finding>,
) -> Option<Manifest> {
    if db.manifest == ManifestPolicy::Ignore {
        return None;
    }
    let file = files.iter().find(|file| file.name == manifest::FILE)?;
    let (manifest, faults) = manifest::parse_manifest(&file.path, &file.bytes);
    findings.extend(faults);
    manifest
}

fn sort_files<'a>(
    files: &[&'a SourceFile],
    manifest: Option<&Manifest>,
    findings: &mut Vec<Finding>,
) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    let (mut ups, mut undos) = (vec![], vec![]);
    for file in files {
        // A rollback file that the manifest names is an undo whatever its name looks like.
        if let Some(entry) = manifest.and_then(|manifest| manifest.rollback_of(&file.name)) {
            undos.push(Found {
                file,
                version: entry.version.clone(),
                name: entry.name.clone().unwrap_or_default(),
            });
            continue;
        }
        match file_name(&file.name) {
            FileName::Up(version, name) => ups.push(Found {
                file,
                version,
                name,
            }),
            FileName::Undo(version, name) => undos.push(Found {
                file,
                version,
                name,
            }),
            FileName::Silent => {}
            FileName::Bad(meant) => {
                let message = format!(
                    "`{}` is not `{{version}}_{{snake_case_name}}.sql`",
                    file.name.escape_debug()
                );
                let mut finding = Finding::error("bad-file-name", Place::file(&file.path), message);
                finding.help = Some(match meant {
                    Some(meant) => format!("rename it to `{meant}`"),
                    None => {
                        "it would never be applied; give it a version, or move it out of the folder"
                            .into()
                    }
                });
                findings.push(finding);
            }
            FileName::Stray => {
                let message = format!(
                    "`{}` is no migration, and nothing else that is known here",
                    file.name.escape_debug()
                );
                let finding = Finding::warning("stray-file", Place::file(&file.path), message);
                findings.push(finding.help(
                    "move it out of the folder; README*, *.md, version.json and dot files may stay",
                ));
            }
        }
    }
    (ups, undos)
}

fn drop_duplicates(ups: &mut Vec<Found<'_>>, findings: &mut Vec<Finding>) {
    let mut kept: Option<(Version, String)> = None;
    ups.retain(|up| match &kept {
        Some((version, first)) if *version == up.version => {
            let message = format!("version {} is there twice: `{first}` has it too", up.version);
            let finding = Finding::error("duplicate-version", Place::file(&up.file.path), message);
            findings.push(finding.help("versions are numbers: `1`, `01` and `001` are the same; give one of them the next number"));
            false
        }
        _ => {
            kept = Some((up.version.clone(), up.file.name.clone()));
            true
        }
    });
}

/// Gives every undo script to its migration.
fn pair<'a>(
    ups: &[Found<'_>],
    undos: Vec<Found<'a>>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<Version, Found<'a>> {
    let mut undo_of: BTreeMap<Version, Found<'a>> = BTreeMap::new();
    for undo in undos {
        let place = Place::file(&undo.file.path);
        let up = ups.iter().find(|up| up.version == undo.version);
        let fits = up.is_some_and(|up| up.name == undo.name || undo.name.is_empty());
        if !fits {
            let message = format!("`{}` undoes a migration that is not there", undo.file.name);
            let mut finding = Finding::error("orphan-undo", place, message);
            let namesake = ups.iter().find(|up| up.name == undo.name);
            finding.help = match up {
                Some(up) => Some(format!(
                    "version {} is `{}`; both names must agree",
                    up.version, up.file.name
                )),
                None => namesake.map(|up| {
                    format!(
                        "`{}` has this name; its undo is `{}_{}.undo.sql`",
                        up.file.name, up.version, up.name
                    )
                }),
            };
            findings.push(finding);
        } else if let Some(first) = undo_of.get(&undo.version) {
            let message = format!(
                "version {} has two undo scripts: `{}` is the other",
                undo.version, first.file.name
            );
            findings.push(Finding::error("two-undos", place, message));
        } else {
            undo_of.insert(undo.version.clone(), undo);
        }
    }
    undo_of
}

/// The text of a file that may be read.
fn read<'a>(file: &'a SourceFile, findings: &mut Vec<Finding>) -> Option<&'a str> {
    if file.size > SCRIPT_BYTES_MAX {
        let (size, most) = (file.size >> 20, SCRIPT_BYTES_MAX >> 20);
        let message = format!("this script has {size} MiB; at most {most} MiB are read");
        let finding = Finding::error("script-too-large", Place::file(&file.path), message);
        findings.push(finding.help("split it, or bring bulk data in with `dunlin import`"));
        return None;
    }
    match script_text(&file.path, &file.bytes) {
        Ok(text) => Some(text),
        Err(finding) => {
            findings.push(*finding);
            None
        }
    }
}

/// Versions with where they are required.
pub(super) type Requires = Vec<(Version, Place)>;

fn migration(
    reader: &Reader<'_>,
    up: &Found<'_>,
    undo_file: Option<&Found<'_>>,
    findings: &mut Vec<Finding>,
) -> Option<(Migration, Requires)> {
    let file = &up.file.path;
    let text = read(up.file, findings)?;
    let all = directives(file, text, &reader.rules, findings);
    let mark = undo_mark(file, text, &all, findings);
    let up_end = mark.as_ref().map_or(text.len(), |mark| mark.start);
    let (mut header, mut above) = (Header::default(), vec![]);
    for directive in all.iter().filter(|directive| directive.span.start < up_end) {
        sort_directive(file, text, directive, &mut header, &mut above, findings);
    }
    let part = Part {
        file,
        text,
        span: 0..up_end,
        directives: above,
    };
    let script = reader.script(&part, findings);
    if script.statements.is_empty() {
        findings.push(Finding::warning(
            "empty-script",
            Place::file(file),
            "this migration holds no statement",
        ));
    }
    let undo = undo(reader, (file, text, &all), mark, undo_file, findings);
    if let (Some((_, span)), Some(_)) = (&header.irreversible, &undo) {
        let place = Place::in_file(file, text, span.clone());
        let message = "this migration is said to be irreversible and has an undo script";
        findings.push(
            Finding::warning("irreversible-with-undo", place, message)
                .help("take one of them out; `down` refuses it"),
        );
    }
    let requires = header.requires.iter();
    let requires = requires
        .map(|(version, span)| (version.clone(), Place::in_file(file, text, span.clone())))
        .collect();
    let migration = Migration {
        version: up.version.clone(),
        name: up.name.clone(),
        description: header.description,
        up: script,
        undo,
        irreversible: header.irreversible.map(|(why, _)| why),
        requires: vec![],
        transaction: header.transaction,
        backup: header.backup,
        estimate: header.estimate,
        timeout: header.timeout,
        allow: header.allow,
        creates: vec![],
    };
    Some((migration, requires))
}

/// Where the undo part of a file begins.
fn undo_mark(
    file: &str,
    text: &str,
    all: &[Directive],
    findings: &mut Vec<Finding>,
) -> Option<Range<usize>> {
    let mut marks = all
        .iter()
        .filter(|directive| matches!(directive.said, Said::Undo))
        .map(|directive| directive.span.clone());
    let first = marks.next();
    for span in marks {
        let message = "a second undo part begins here";
        let place = Place::in_file(file, text, span);
        findings.push(Finding::error("two-undos", place, message));
    }
    first
}

fn sort_directive<'a>(
    file: &str,
    text: &str,
    directive: &'a Directive,
    header: &mut Header,
    above: &mut Vec<&'a Directive>,
    findings: &mut Vec<Finding>,
) {
    match &directive.said {
        Said::Header(table) if directive.at_top => {
            findings.extend(header.take(file, text, &directive.span, (**table).clone()));
        }
        Said::Header(_) => {
            let place = Place::in_file(file, text, directive.span.clone());
            let message =
                "this directive is about the whole script and stands below its first statement";
            findings.push(
                Finding::error("misplaced-directive", place, message)
                    .help("move it to the comments at the top of the file"),
            );
        }
        Said::Statement { .. } => above.push(directive),
        Said::Undo | Said::Nothing => {}
    }
}

/// The undo part of the file, or the undo file. One without a statement is none.
fn undo(
    reader: &Reader<'_>,
    (file, text, all): (&str, &str, &[Directive]),
    mark: Option<Range<usize>>,
    undo_file: Option<&Found<'_>>,
    findings: &mut Vec<Finding>,
) -> Option<Script> {
    let mut scripts = vec![];
    if let Some(mark) = mark {
        let below = all
            .iter()
            .filter(|directive| directive.span.start > mark.start);
        scripts.push(undo_part(
            reader,
            file,
            text,
            mark.end..text.len(),
            below,
            findings,
        ));
    }
    if let Some(found) = undo_file {
        if !scripts.is_empty() {
            let message =
                format!("the undo stands both here and below `-- dunlin:undo` in `{file}`");
            findings.push(Finding::error(
                "two-undos",
                Place::file(&found.file.path),
                message,
            ));
        }
        if let Some(text) = read(found.file, findings) {
            let own = directives(&found.file.path, text, &reader.rules, findings);
            scripts.push(undo_part(
                reader,
                &found.file.path,
                text,
                0..text.len(),
                own.iter(),
                findings,
            ));
        }
    }
    let script = scripts.into_iter().next()?;
    if script.statements.is_empty() {
        let message = "this undo holds no statement; it counts as none";
        let finding = Finding::warning("empty-script", Place::file(&script.file), message);
        findings
            .push(finding.help("write it, or say `-- dunlin: irreversible = \"why\"` at the top"));
        return None;
    }
    Some(script)
}

fn undo_part<'a>(
    reader: &Reader<'_>,
    file: &str,
    text: &str,
    span: Range<usize>,
    directives: impl Iterator<Item = &'a Directive>,
    findings: &mut Vec<Finding>,
) -> Script {
    let mut above = vec![];
    for directive in directives {
        match &directive.said {
            Said::Statement { .. } => above.push(directive),
            Said::Header(_) => {
                let place = Place::in_file(file, text, directive.span.clone());
                let message = "this directive is about the migration and stands in its undo";
                findings.push(
                    Finding::error("misplaced-directive", place, message)
                        .help("move it to the top of the migration's file"),
                );
            }
            Said::Undo | Said::Nothing => {}
        }
    }
    reader.script(
        &Part {
            file,
            text,
            span,
            directives: above,
        },
        findings,
    )
}
