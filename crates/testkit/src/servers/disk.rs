//! Small disks that a test may fill, and servers whose data lies on one.
//!
//! A tmpfs of some megabytes: mounting one takes root's rights, and the test that needs it says so where they are missing.

use super::{Server, launch, process};
use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of some megabytes, until it is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// One of its own, which the servers' user may write to.
    ///
    /// # Panics
    /// Where nothing may be mounted.
    #[allow(clippy::panic)]
    pub fn new(megabytes: u32) -> Disk {
        let made = launch::temporary_folder("disk").and_then(|at| Disk::mounted(at, megabytes));
        match made {
            Ok(disk) => disk,
            Err(error) => panic!("a small disk for a test: {error:#}"),
        }
    }

    /// One at a place of the caller's.
    ///
    /// # Panics
    /// Where nothing may be mounted.
    #[allow(clippy::panic)]
    pub fn at(at: PathBuf, megabytes: u32) -> Disk {
        match Disk::mounted(at, megabytes) {
            Ok(disk) => disk,
            Err(error) => panic!("a small disk for a test: {error:#}"),
        }
    }

    fn mounted(at: PathBuf, megabytes: u32) -> anyhow::Result<Disk> {
        std::fs::create_dir_all(&at)?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&at);
        process::run(&mut mount).context("the right to mount a small tmpfs is needed (root)")?;
        let disk = Disk(at);
        process::hand_over(&disk.0)?;
        Ok(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it another size.
    ///
    /// # Panics
    /// Where it cannot be had.
    #[allow(clippy::panic)]
    pub fn grow(&self, megabytes: u32) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,size={megabytes}m")])
            .arg(&self.0);
        if let Err(error) = process::run(&mut mount) {
            panic!("a larger disk for a test: {error:#}");
        }
    }

    /// Fills it with a file, but for so many bytes.
    ///
    /// # Panics
    /// Where that does not work.
    #[allow(clippy::panic)]
    pub fn leave(&self, bytes: u64) {
        let fill = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(self.ballast())?;
            let zeros = vec![0; 1 << 16];
            let mut size = 0_u64;
            loop {
                match file.write(&zeros) {
                    Ok(n) => size += n as u64,
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
            file.set_len(size.saturating_sub(bytes))
        };
        if let Err(error) = fill() {
            panic!("filling the disk of a test: {error}");
        }
    }

    /// Takes that file away again.
    pub fn make_room(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that still ends has its files there.
        let gone = Command::new("umount").arg("-l").arg(&self.0).status();
        if gone.is_ok_and(|status| status.success()) {
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}

impl Server {
    /// Moves the data of a private server to a disk, and starts the server again. The disk is to be made before the
    /// server, so that it is dropped after it.
    ///
    /// # Panics
    /// On a shared server, and where the data has no room there.
    #[allow(clippy::panic)]
    pub fn move_to(&self, disk: &Disk) {
        let Some(instance) = &self.instance else {
            panic!("a shared server stays where it is")
        };
        self.stop();
        let (from, to) = (instance.dir.join("data"), disk.path().join("data"));
        let moved = process::run(Command::new("cp").arg("-a").arg(&from).arg(&to))
            .and_then(|()| Ok(std::fs::remove_dir_all(&from)?))
            .and_then(|()| Ok(std::os::unix::fs::symlink(&to, &from)?));
        if let Err(error) = moved {
            panic!("moving the data of {}: {error:#}", self.kind);
        }
        self.start();
    }
}
