//! The knowledge base of `examples/04-knowledge-base` as its application's MVP 1 leaves it behind: a few thousand
//! entries in several scripts, dates in four formats, booleans in three spellings, tags whose entry is gone, entries
//! that are there twice. The same seed gives the same rows.

use rusqlite::{Connection, Transaction, params};
use std::fmt::Write as _;
use std::path::Path;

/// How many entries there are before some are doubled.
pub const ENTRIES: usize = 2_100;
/// How many of them are there twice.
pub const DOUBLES: usize = 21;
/// How many tags have no entry (any more).
pub const ORPHANS: usize = 37;
/// How many searches are remembered.
pub const SEARCHES: usize = 2_200;

const CATEGORIES: [&str; 8] = [
    "JCL", "VSAM", "DB2", "CICS", "COBOL", "IMS", "Batch", "Security",
];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const PEOPLE: [&str; 12] = [
    "Ayşe Yılmaz",
    "İlker Işık",
    "رضا محمدی",
    "نگار کاظمی",
    "ليلى حداد",
    "أحمد منصور",
    // The accents of the next two are combining marks, as macOS writes them; not the composed letters.
    "Jose\u{301} Nun\u{303}ez",
    "Zoe\u{308} Bre\u{301}mont",
    "Ngọc Trần",
    "O'Neill, Siobhán",
    "王小明",
    "ops 🛠️",
];
const CODES: [&str; 12] = [
    "S0C7", "S0C4", "S222", "S322", "S806", "S913", "SB37", "SD37", "U4038", "-805", "-911", "ASRA",
];
const PROGRAMS: [&str; 10] = [
    "PAYROLL1", "INVUPD02", "CUSTMNT", "BILLRUN", "GLPOST", "ORDENTRY", "STMTGEN", "KUNDE01",
    "ACCTBAL", "TAXCALC",
];
/// Problem and solution, in the languages that the team writes.
const CASES: [(&str, &str); 14] = [
    (
        "A packed field holds blanks after the nightly load.",
        "Initialise the field before the move; run IEBGENER on the input to find the record.",
    ),
    (
        "Job waits for a data set that nobody seems to hold.",
        "D GRS,RES=(*,dsn) names the holder. Cancel it, or free the ENQ.",
    ),
    (
        "Space runs out in the second extent.",
        "Raise SECONDARY, or let SMS give a larger data class.",
    ),
    (
        "The plan is not bound for this DBRM.",
        "REBIND PACKAGE after the compile; check the collection of the plan.",
    ),
    (
        "Two transactions lock each other's rows at month's end.",
        "Order the updates by key, commit every 500 rows.",
    ),
    (
        "Gece işi, girdi dosyası boş olduğunda duruyor.",
        "IEFBR14 adımından önce dosyanın boş olup olmadığına bak; COND=(4,LT) ekle.",
    ),
    (
        "Müşteri adındaki İ, ı ve ş harfleri ekranda bozuk çıkıyor.",
        "Kod sayfası 1026 olmalı; terminal tanımını düzelt.",
    ),
    (
        "گزارش ماهانه با کد بازگشت ۱۲ می‌ایستد.",
        "فایل ورودی را بررسی کنید و مرحلهٔ مرتب‌سازی را دوباره اجرا کنید.",
    ),
    (
        "نام مشتری در صفحهٔ CICS وارونه دیده می‌شود.",
        "ترتیب راست‌به‌چپ را در نقشهٔ BMS روشن کنید 🙂",
    ),
    (
        "تتوقف المهمة الليلية عند خطوة الفرز.",
        "زد مساحة العمل SORTWK ثم أعد التشغيل من الخطوة نفسها.",
    ),
    (
        "صلاحيات الوصول إلى الملف غير كافية.",
        "اطلب من فريق RACF صلاحية READ على الملف.",
    ),
    (
        "Le caracte\u{300}re e\u{301} arrive en double apre\u{300}s la conversion.",
        "Normaliser en NFC avant l'envoi ; la page de code est 1147.",
    ),
    (
        "Return code 8, no message at all 🤷",
        "SYSTSPRT was DUMMY: take that out, run again, read what it says.",
    ),
    (
        "Abend after the change of daylight saving time ⏰",
        "STCK is in UTC: convert with the offset of CVTLDTO, not with a constant.",
    ),
];
const TAGS: [&str; 16] = [
    "abend",
    "batch",
    "nightly",
    "month-end",
    "data",
    "space",
    "locking",
    "bind",
    "şifre",
    "gece-işi",
    "گزارش",
    "شبانه",
    "صلاحيات",
    "encodage",
    "urgent 🔥",
    "cafe\u{301}",
];

/// A small generator of numbers (SplitMix64): the rows must be the same on every machine and in every version of
/// whatever crate would do it better.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    /// The same for a column.
    fn number(&mut self, n: usize) -> i64 {
        i64::try_from(self.below(n)).unwrap_or(0)
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let high = (a & !0xf000) | 0x4000;
        let low = (b & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

/// An instant of the years 2022 to 2025: year, month, day, hour, minute, second.
fn instant(dice: &mut Dice) -> (usize, usize, usize, usize, usize, usize) {
    (
        2022 + dice.below(4),
        1 + dice.below(12),
        1 + dice.below(28),
        dice.below(24),
        dice.below(60),
        dice.below(60),
    )
}

/// As the newest version of the application writes it.
fn iso(at: (usize, usize, usize, usize, usize, usize)) -> String {
    let (y, m, d, h, min, s) = at;
    format!("{y}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}Z")
}

/// In one of the four formats that stand in the file.
fn some_format(dice: &mut Dice) -> String {
    let at = instant(dice);
    let (y, m, d, h, min, s) = at;
    match dice.below(10) {
        0..=5 => iso(at),
        6 | 7 => format!("{y}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}"),
        8 => format!("{d:02}.{m:02}.{y} {h:02}:{min:02}"),
        // 2022 began at 1640995200; any second of the four years will do.
        _ => (1_640_995_200 + dice.below(4 * 365 * 86_400)).to_string(),
    }
}

/// Makes a new database file at `path` with the tables of `tables` (a script) and fills them.
///
/// # Errors
/// Where the file is there already or cannot be written, or the script does not make the tables of MVP 1.
pub fn make(path: &Path, tables: &str, seed: u64) -> anyhow::Result<()> {
    anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    let mut connection = Connection::open(path)?;
    connection.execute_batch(tables)?;
    let transaction = connection.transaction()?;
    let mut dice = Dice(seed);
    let ids = entries(&transaction, &mut dice)?;
    tags(&transaction, &mut dice, &ids)?;
    searches(&transaction, &mut dice)?;
    let settings = [
        ("mvp_version", "1"),
        ("database_type", "sqlite"),
        ("team", "z/OS desk ☎️"),
        ("language", "tr"),
    ];
    for (key, value) in settings {
        transaction.execute("INSERT INTO settings VALUES (?, ?)", [key, value])?;
    }
    transaction.commit()?;
    connection.execute_batch("VACUUM")?;
    Ok(())
}

fn entries(to: &Transaction<'_>, dice: &mut Dice) -> anyhow::Result<Vec<String>> {
    let mut insert = to.prepare("INSERT INTO kb_entries VALUES (?,?,?,?,?,?,?,?,?,?,?)")?;
    let mut ids = vec![];
    for number in 0..ENTRIES + DOUBLES {
        let (problem, solution) = CASES[dice.below(CASES.len())];
        let mut title = format!("{} in {}", dice.pick(&CODES), dice.pick(&PROGRAMS));
        let _ = write!(title, ", step {:03}", 10 * (1 + dice.below(40)));
        let id = dice.uuid();
        let updated = (dice.below(3) == 0).then(|| iso(instant(dice)));
        let archived: &dyn rusqlite::ToSql = match dice.below(20) {
            0 => &"true",
            1 => &"yes",
            2 | 3 => &"false",
            4 => &"no",
            5 => &1,
            6 => &rusqlite::types::Null,
            _ => &0,
        };
        let created = some_format(dice);
        let (category, severity) = (dice.pick(&CATEGORIES), dice.pick(&SEVERITIES));
        let (by, used) = (dice.pick(&PEOPLE), dice.number(60));
        if number < ENTRIES {
            insert.execute(params![
                id, title, problem, solution, category, severity, by, created, updated, used,
                archived
            ])?;
            ids.push(id);
        } else {
            // Twice there: imported again under another key by somebody who was not sure that it had worked.
            to.execute(
                "INSERT INTO kb_entries SELECT ?, title, problem, solution, category, severity, ?, ?, NULL, 0, 0 \
                 FROM kb_entries WHERE id = ?",
                params![id, by, created, ids[dice.below(ENTRIES)]],
            )?;
        }
    }
    Ok(ids)
}

fn tags(to: &Transaction<'_>, dice: &mut Dice, ids: &[String]) -> anyhow::Result<()> {
    let mut insert = to.prepare("INSERT INTO kb_tags VALUES (?, ?)")?;
    for id in ids {
        let first = dice.below(TAGS.len());
        for more in 0..1 + dice.below(2) {
            insert.execute([id.as_str(), TAGS[(first + 5 * more) % TAGS.len()]])?;
        }
    }
    for _ in 0..ORPHANS {
        insert.execute([dice.uuid().as_str(), dice.pick(&TAGS)])?;
    }
    Ok(())
}

fn searches(to: &Transaction<'_>, dice: &mut Dice) -> anyhow::Result<()> {
    let mut insert = to.prepare("INSERT INTO search_history VALUES (?, ?, ?, ?, ?)")?;
    for _ in 0..SEARCHES {
        let query = match dice.below(4) {
            0 => dice.pick(&TAGS).to_owned(),
            1 => dice.pick(&CODES).to_owned(),
            _ => format!("{} {}", dice.pick(&CODES), dice.pick(&PROGRAMS)),
        };
        let at = iso(instant(dice)).replace('T', " ").replace('Z', "");
        // One search in eight finds nothing.
        let found = if dice.below(8) == 0 {
            0
        } else {
            1 + dice.number(30)
        };
        insert.execute(params![
            query,
            at,
            found,
            dice.pick(&PEOPLE),
            3 + dice.number(900)
        ])?;
    }
    Ok(())
}
