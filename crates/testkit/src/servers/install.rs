//! Installing the servers that are missing, on Debian.
//!
//! What the machine's own suite has is installed as any package. What only the suite *sid* has is fetched with its
//! whole closure, its own libc included, and unpacked into a folder: nothing of it is installed, no maintainer script
//! runs, and its programs are started through their own dynamic loader.

use super::{Kind, catalog};
use anyhow::{Context, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages of Debian stable that the tests need.
const PACKAGES: [&str; 4] = ["postgresql", "mariadb-server", "pgbouncer", "util-linux"];

/// Installs or unpacks what is missing. Does nothing, and needs no network, where all is there.
pub fn install_missing(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let absent = |kind: Kind| kind.handed_over().is_none() && catalog::find(kind).is_err();
    let tools = ["setpriv", "flock", "pgbouncer"]
        .iter()
        .any(|tool| catalog::program(&[tool]).is_none());
    if absent(Kind::Postgres) || absent(Kind::Mariadb) || tools {
        install_packages(say)?;
    }
    if absent(Kind::PostgresNewer) {
        unpack(
            "postgres-newer",
            &[
                &["postgresql-18", "postgresql-client-18"],
                &["postgresql", "postgresql-client"],
            ],
            say,
        )?;
    }
    if absent(Kind::Mysql) {
        unpack("mysql", &[&["mysql-server-core", "mysql-client-core"]], say)?;
    }
    Ok(())
}

/// What a person would have to type where we cannot do it.
pub fn by_hand() -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y {}",
        PACKAGES.join(" ")
    )
}

fn install_packages(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    if catalog::program(&["apt-get"]).is_none() || !super::process::is_root() {
        bail!(
            "servers are missing and this is not root on Debian; run: {}",
            by_hand()
        );
    }
    say(&format!("installing {}", PACKAGES.join(", ")));
    // The packages start their servers when they are configured; nobody asked for those.
    let no_daemons = Path::new("/usr/sbin/policy-rc.d");
    let ours = !no_daemons.exists();
    if ours {
        std::fs::write(no_daemons, "#!/bin/sh\nexit 101\n")?;
        std::fs::set_permissions(no_daemons, std::fs::Permissions::from_mode(0o755))?;
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        quiet(&mut command)
    };
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"]
        .into_iter()
        .chain(PACKAGES)
        .collect();
    let done = apt(&["update"]).and_then(|()| apt(&install));
    if ours {
        std::fs::remove_file(no_daemons)?;
    }
    done
}

/// Fetches packages of sid with all they need and unpacks them into `cache/NAME`. The first choice that exists wins.
fn unpack(name: &str, choices: &[&[&str]], say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    if catalog::program(&["apt-get"]).is_none() || catalog::program(&["dpkg"]).is_none() {
        bail!(
            "{name} can be unpacked on Debian and its kin only; hand over a server of your own by URL"
        );
    }
    let cache = catalog::cache();
    std::fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let lock = std::fs::File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    let root = cache.join(name);
    if root.join("complete").is_file() {
        return Ok(());
    }
    say(&format!(
        "unpacking {name} from Debian's suite sid into {}",
        root.display()
    ));
    let apt = Apt::prepare(&cache.join(format!("{name}.apt")))?;
    apt.run(&["update"])?;
    let chosen = choices.iter().find(|packages| {
        apt.run(&[&["install", "--simulate"], **packages].concat())
            .is_ok()
    });
    let chosen = chosen.with_context(|| format!("sid has none of {choices:?}"))?;
    apt.run(&[&["install", "--download-only"], *chosen].concat())?;
    let half = cache.join(format!("{name}.half"));
    let _ = std::fs::remove_dir_all(&half);
    std::fs::create_dir_all(&half)?;
    for package in files(&apt.archives())?
        .into_iter()
        .filter(|file| file.extension().is_some_and(|ext| ext == "deb"))
    {
        quiet(Command::new("dpkg").arg("-x").arg(&package).arg(&half))?;
    }
    let _ = std::fs::remove_dir_all(&root);
    std::fs::rename(&half, &root)?;
    wrap_programs(&root)?;
    std::fs::write(root.join("complete"), "")?;
    let _ = std::fs::remove_dir_all(&apt.dir);
    Ok(())
}

/// An apt that knows sid, an empty list of installed packages, and nothing of this machine.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn prepare(dir: &Path) -> anyhow::Result<Apt> {
        for folder in ["lists/partial", "archives/partial", "parts"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let here = dir.display();
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let signed = if Path::new(keyring).is_file() {
            format!("[signed-by={keyring}] ")
        } else {
            String::new()
        };
        std::fs::write(dir.join("status"), "")?;
        std::fs::write(
            dir.join("sources.list"),
            format!("deb {signed}{} sid main\n", mirror()),
        )?;
        // A mirror that lags behind is no reason not to test; its signatures are checked all the same.
        std::fs::write(
            dir.join("apt.conf"),
            format!(
                "Dir::State::status \"{here}/status\";\nDir::State::lists \"{here}/lists\";\nDir::Cache \"{here}\";\n\
                 Dir::Cache::archives \"{here}/archives\";\nDir::Etc::sourcelist \"{here}/sources.list\";\n\
                 Dir::Etc::sourceparts \"{here}/parts\";\nDir::Etc::preferencesparts \"{here}/parts\";\n\
                 Dir::Etc::preferences \"{here}/none\";\nDebug::NoLocking \"true\";\nAPT::Sandbox::User \"root\";\n\
                 APT::Install-Recommends \"false\";\nAcquire::Languages \"none\";\n\
                 Acquire::Check-Valid-Until \"false\";\n"
            ),
        )?;
        Ok(Apt {
            dir: dir.to_owned(),
        })
    }

    fn archives(&self) -> PathBuf {
        self.dir.join("archives")
    }

    fn run(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive");
        quiet(command.arg("-y").args(args))
    }
}

/// The machine's own Debian mirror: it is the one that can be reached from here.
fn mirror() -> String {
    let mut texts = vec![std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
    for file in files(Path::new("/etc/apt/sources.list.d")).unwrap_or_default() {
        texts.push(std::fs::read_to_string(file).unwrap_or_default());
    }
    let words = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.trim_start().starts_with('#'));
    let urls = words
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("http"));
    let found = urls
        .map(|url| url.trim_end_matches('/'))
        .find(|url| url.ends_with("/debian"));
    found.unwrap_or("http://deb.debian.org/debian").to_owned()
}

/// Puts, before every program of the servers, a script that starts it through the root's own loader and libraries:
/// the machine's libc is older than the one they were built with.
fn wrap_programs(root: &Path) -> anyhow::Result<()> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = root.join("usr/lib").join(&triplet);
    let loader = files(&libraries)?
        .into_iter()
        .find(|file| name_of(file).starts_with("ld-linux"));
    let loader = loader.with_context(|| format!("no loader in {}", libraries.display()))?;
    let mut folders = vec![root.join("usr/sbin"), root.join("usr/bin")];
    for major in files(&root.join("usr/lib/postgresql")).unwrap_or_default() {
        folders.push(major.join("bin"));
    }
    for program in folders
        .iter()
        .flat_map(|folder| files(folder).unwrap_or_default())
    {
        let ours = name_of(&program).starts_with("mysql")
            || program.parent().is_some_and(|bin| {
                bin.ends_with("bin") && bin.starts_with(root.join("usr/lib/postgresql"))
            });
        if ours && is_elf(&program) {
            wrap(&program, &loader, &libraries)?;
        }
    }
    Ok(())
}

fn wrap(program: &Path, loader: &Path, libraries: &Path) -> anyhow::Result<()> {
    // Quoted for the shell: a cache folder may have blanks in its name.
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let real = program.with_extension("real");
    std::fs::rename(program, &real)?;
    let script = format!(
        "#!/bin/sh\nexec {} --library-path {} --argv0 \"$0\" {} \"$@\"\n",
        quoted(loader),
        quoted(libraries),
        quoted(&real)
    );
    std::fs::write(program, script)?;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn is_elf(file: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0_u8; 4];
    file.is_file()
        && std::fs::File::open(file)
            .and_then(|mut open| open.read_exact(&mut magic))
            .is_ok()
        && &magic == b"\x7fELF"
}

fn name_of(file: &Path) -> String {
    file.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// Runs a command; what it says is shown only where it fails.
fn quiet(command: &mut Command) -> anyhow::Result<()> {
    super::process::run(command)
}
