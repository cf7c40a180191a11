//! A small file system of its own, to be full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted until it is dropped.
#[derive(Debug)]
pub struct Small(PathBuf);

impl Small {
    /// None where nothing can be mounted, which is said.
    pub fn mount(at: &Path, size: &str) -> Option<Small> {
        fs::create_dir_all(at).expect("a mount point");
        if !rustix::process::geteuid().is_root() || !mount(at, &format!("size={size},mode=777")) {
            crate::skipped::skipped("faults on a small file system: only root can mount one, and not everywhere");
            return None;
        }
        Some(Small(at.to_owned()))
    }

    pub fn resize(&self, size: &str) {
        assert!(mount(&self.0, &format!("remount,size={size}")), "it can have another size");
    }

    /// Leaves so many bytes of room.
    pub fn fill(&self, leave: u64) {
        let about = rustix::fs::statvfs(&self.0).expect("its room");
        let ballast = (about.f_bavail * about.f_frsize).saturating_sub(leave);
        fs::write(self.ballast(), vec![0; usize::try_from(ballast).expect("small")]).expect("there is so much room");
    }

    /// No other file can be made, however small.
    pub fn no_more_files(&self) {
        let about = rustix::fs::statvfs(&self.0).expect("its room");
        assert!(mount(&self.0, &format!("remount,nr_inodes={}", about.f_files - about.f_ffree)), "it can have fewer files");
    }

    pub fn more_files(&self) {
        assert!(mount(&self.0, "remount,nr_inodes=1000"), "it can have more files");
    }

    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it was there");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join(".ballast")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(at: &Path, options: &str) -> bool {
    Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().is_ok_and(|status| status.success())
}
