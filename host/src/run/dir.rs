//! The run directory: its name, its place, how it is found again.

use std::{
    collections::BTreeSet,
    fs, hash,
    hash::{BuildHasher as _, Hasher as _},
    io,
    os::unix::fs::{DirBuilderExt as _, symlink},
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    atomic,
    claim::{Claim, Lock, Marker},
    fault::{NO_SPACE, io_error},
    time::Timestamp,
};
use crate::error::{Error, Exit, Result};

/// Name of the symbolic link to the newest run.
pub const LATEST: &str = "latest";
/// Free space below which no run is started, in bytes.
pub const MIN_FREE: u64 = 64 << 20;

const MAX_NAME: usize = 64;
/// `2026-09-01T10-22-07`.
const TIME_LENGTH: usize = 19;
const ID_LENGTH: usize = 4;
/// Folders that every run has.
const FOLDERS: [&str; 4] = ["archs", "ckpt", "log", "predictions"];

/// Where a run keeps its files. Holding one says nothing about who is writing; see [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates `out/<time>_<name>_<random id>/` for this user alone, points `out/latest` at it and
    /// claims it.
    ///
    /// Nothing that exists is ever overwritten.
    ///
    /// # Errors
    ///
    /// Fails if `name` is no run name, `out` cannot be written, or less than [`MIN_FREE`] is free.
    pub fn create(out: &Path, name: &str) -> Result<Claim> {
        let run = Self::reserve(out, name)?;
        let claim = run.clone().begin()?;
        run.become_latest();
        Ok(claim)
    }

    /// Creates the folder of a run, which is none before it [begins](Self::begin).
    ///
    /// # Errors
    ///
    /// As [`RunDir::create`].
    pub fn reserve(out: &Path, name: &str) -> Result<Self> {
        check_name(name)?;
        preflight(out, MIN_FREE)?;
        let out = &fs::canonicalize(out).map_err(|e| io_error("open", out, &e))?;
        let time = Timestamp::now().file_name();
        let taken = Self::list(out)?;
        let path = loop {
            let id = random_id();
            let path = out.join(format!("{time}_{name}_{id}"));
            if taken.iter().any(|run| run.short_id() == id) {
                continue;
            }
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create the folder", &path, &error)),
            }
        };
        atomic::sync_folder(out).map_err(|e| io_error("sync", out, &e))?;
        Ok(Self { path })
    }

    /// Takes the empty folder of a run that was [reserved](Self::reserve).
    ///
    /// # Errors
    ///
    /// Fails if it is gone.
    pub(crate) fn reserved(path: PathBuf) -> Result<Self> {
        let path = fs::canonicalize(&path).map_err(|e| io_error("open", &path, &e))?;
        Ok(Self { path })
    }

    /// Makes a reserved folder a run and claims it.
    ///
    /// # Errors
    ///
    /// Fails if the folder is not empty or cannot be written.
    pub fn begin(self) -> Result<Claim> {
        for folder in FOLDERS {
            let folder = self.path.join(folder);
            fs::create_dir(&folder).map_err(|e| io_error("create the folder", &folder, &e))?;
        }
        self.claim()
    }

    /// Whether this is a run by now.
    pub(crate) fn has_begun(&self) -> bool {
        Self::is_run(&self.path)
    }

    /// The link that leads to the latest of the runs beside this one.
    pub(crate) fn latest_link(&self) -> PathBuf {
        self.path.with_file_name(LATEST)
    }

    /// Lets the link to the latest run lead here.
    pub(crate) fn become_latest(&self) {
        if let Err(error) = point_latest_at(self) {
            // Some file systems have no symbolic links; the run is as good without.
            tracing::warn!("cannot update {}: {error}", self.latest_link().display());
        }
    }

    /// Finds a run by its path, its directory name, `latest`, or the beginning of its id or
    /// directory name, as long as one run alone begins so.
    ///
    /// # Errors
    ///
    /// Fails if there is no such run (with the nearest name) or there are several.
    pub fn open(run: &str, out: &Path) -> Result<Self> {
        Self::find(run, out, &mut None)
    }

    /// Finds several runs as [`RunDir::open`] does, each once. The folder is listed once at most.
    ///
    /// # Errors
    ///
    /// As [`RunDir::open`], at the first name that does not lead to one run.
    pub fn open_all(names: &[String], out: &Path) -> Result<Vec<Self>> {
        let (mut listed, mut seen) = (None, BTreeSet::new());
        let mut found = Vec::new();
        for name in names {
            let run = Self::find(name, out, &mut listed)?;
            if seen.insert(run.path.clone()) {
                found.push(run);
            }
        }
        Ok(found)
    }

    /// Finds `run`; `listed` are the runs in `out`, once they were needed.
    fn find(run: &str, out: &Path, listed: &mut Option<Vec<Self>>) -> Result<Self> {
        if run == LATEST {
            let path = fs::canonicalize(out.join(LATEST)).map_err(|_| {
                not_found(format!("{} leads to no run", out.join(LATEST).display()))
                    .help("start one with `nashost run`")
            })?;
            return Self::at(path);
        }
        if run.contains('/') {
            return Self::at(PathBuf::from(run));
        }
        if listed.is_none() {
            *listed = Some(Self::list(out)?);
        }
        let runs = listed.as_deref().unwrap_or_default();
        let matches: Vec<&Self> =
            runs.iter().filter(|r| r.short_id().starts_with(run) || r.id().starts_with(run)).collect();
        match matches[..] {
            _ if run.is_empty() => Err(not_found("the name of the run is empty")),
            [one] => Ok(one.clone()),
            [] if Self::is_run(Path::new(run)) => Self::at(PathBuf::from(run)),
            [] => Err(nearest(run, runs, out)),
            _ => {
                let ids: Vec<_> = matches.iter().map(|r| r.id()).collect();
                Err(not_found(format!("`{run}` is the beginning of several runs: {}", ids.join(", ")))
                    .help("write more of the id"))
            }
        }
    }

    /// Returns all runs in `out`, oldest first.
    ///
    /// # Errors
    ///
    /// Fails if `out` exists but cannot be read.
    pub fn list(out: &Path) -> Result<Vec<Self>> {
        let entries = match fs::read_dir(out) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| io_error("read", out, &e))?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| io_error("read", out, &e))?;
            // A link, such as `latest`, is none.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name().to_str().is_some() {
                folders.push(entry.path());
            }
        }
        let runs = folders.into_par_iter().filter(|path| Self::is_run(path)).map(|path| Self { path });
        let mut runs: Vec<Self> = runs.collect();
        runs.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(runs)
    }

    fn at(path: PathBuf) -> Result<Self> {
        if !Self::is_run(&path) {
            return Err(not_found(format!("{} is not a run directory", path.display()))
                .help("`nashost runs` lists the runs"));
        }
        let path = fs::canonicalize(&path).map_err(|e| io_error("open", &path, &e))?;
        match path.file_name().and_then(|name| name.to_str()) {
            Some(_) => Ok(Self { path }),
            None => Err(not_found(format!("the name of {} is not valid UTF-8", path.display()))),
        }
    }

    fn is_run(path: &Path) -> bool {
        Marker::of(path).is_some()
    }

    /// Takes the run for writing.
    ///
    /// # Errors
    ///
    /// Fails if another process holds it or the directory cannot be written.
    pub fn claim(self) -> Result<Claim> {
        Claim::take(self)
    }

    /// Keeps others from writing the run, without a change of its marker.
    ///
    /// # Errors
    ///
    /// Fails if another process holds the run.
    pub fn lock(&self) -> Result<Lock> {
        Lock::take(self)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the run, by its name relative to the directory.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The identity of the run: the name of its directory.
    pub fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("checked when the value was made")
    }

    /// The random end of [`RunDir::id`], enough to name the run on the command line.
    pub fn short_id(&self) -> &str {
        self.id().rsplit('_').next().unwrap_or_default()
    }

    /// What the user called the run.
    pub fn name(&self) -> &str {
        let id = self.id();
        id.get(TIME_LENGTH + 1..id.len().saturating_sub(self.short_id().len() + 1)).unwrap_or(id)
    }
}

/// Checks that runs can be written to `out`, creating it, and that `needed` bytes are free there.
///
/// # Errors
///
/// Fails with the reason, before anything is started.
pub fn preflight(out: &Path, needed: u64) -> Result<()> {
    fs::create_dir_all(out).map_err(|e| io_error("create the folder", out, &e))?;
    tempfile::tempfile_in(out).map_err(|e| io_error("write to", out, &e))?;
    let disk = rustix::fs::statvfs(out).map_err(|e| io_error("look at the disk of", out, &e.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(Error::new(
            Exit::Environment,
            NO_SPACE,
            format!("{} has {} MiB free, {} MiB are needed", out.display(), free >> 20, mib(needed)),
        )
        .help("free some space there, or choose another folder with --out"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, "E0701", format!("`{name}` cannot be the name of a run")).help(format!(
        "use 1 to {MAX_NAME} ASCII letters, digits, `-`, `_` and `.`; the time and an id are added"
    )))
}

/// Four hexadecimal digits. The id tells runs apart and decides nothing else, so it comes from the
/// operating system and not from the run's seed.
fn random_id() -> String {
    let bits = hash::RandomState::new().build_hasher().finish();
    format!("{bits:016x}")[..ID_LENGTH].to_owned()
}

/// Renames a new link over the old one, so that `latest` is never missing.
fn point_latest_at(run: &RunDir) -> io::Result<()> {
    let temporary = run.path.with_file_name(format!(".{LATEST}-{}", run.short_id()));
    symlink(run.id(), &temporary)?;
    fs::rename(&temporary, run.latest_link()).inspect_err(|_| {
        // The failed rename is what gets reported; a stray link does no harm.
        let _ = fs::remove_file(&temporary);
    })
}

fn not_found(message: impl Into<String>) -> Error {
    Error::new(Exit::Usage, "E0705", message)
}

fn nearest(run: &str, runs: &[RunDir], out: &Path) -> Error {
    let error = not_found(format!("no run `{run}` in {}", out.display()));
    let best = runs
        .iter()
        .rev()
        .flat_map(|r| {
            [r.short_id(), r.name(), r.id()].map(|known| (strsim::damerau_levenshtein(run, known), r))
        })
        .min_by_key(|(distance, _)| *distance);
    match best {
        Some((distance, near)) if distance <= run.len() / 3 + 1 => {
            error.help(format!("did you mean `{}` ({})?", near.short_id(), near.id()))
        }
        _ => error.help("`nashost runs` lists the runs"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{super::fault::NOT_WRITABLE, *};

    #[test]
    fn a_run_has_a_private_directory_of_its_own_and_is_latest() {
        let out = tempfile::tempdir().unwrap();
        let first = RunDir::create(out.path(), "neck-zennas").unwrap();
        let second = RunDir::create(out.path(), "neck-zennas").unwrap();
        assert_ne!(first.dir().path(), second.dir().path());
        assert_eq!(first.dir().name(), "neck-zennas");
        assert_eq!(first.dir().short_id().len(), ID_LENGTH);
        let mode = fs::metadata(first.dir().path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(fs::read_link(out.path().join(LATEST)).unwrap(), Path::new(second.dir().id()));
        let stray: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(stray.len(), 3, "two runs and `latest`: {stray:?}");
        assert_eq!(RunDir::list(out.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_run_is_found_by_path_id_name_and_latest() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::create(out.path(), "a").unwrap().dir().clone();
        let whole = run.path().to_str().unwrap();
        for text in [whole, run.id(), run.short_id(), &run.id()[..12], LATEST] {
            assert_eq!(RunDir::open(text, out.path()).unwrap().id(), run.id(), "{text}");
        }
    }

    #[test]
    fn names_that_fit_no_run_or_several_are_refused_with_a_hint() {
        let out = tempfile::tempdir().unwrap();
        assert_eq!(RunDir::open(LATEST, out.path()).unwrap_err().code, "E0705");
        assert_eq!(RunDir::open("", out.path()).unwrap_err().code, "E0705");
        let run = RunDir::create(out.path(), "neck").unwrap().dir().clone();
        RunDir::create(out.path(), "elbow").unwrap();
        let several = RunDir::open(&run.id()[..4], out.path()).unwrap_err();
        assert!(several.message.contains("neck") && several.message.contains("elbow"), "{several:?}");
        let typo = RunDir::open("nekc", out.path()).unwrap_err();
        assert_eq!((typo.code, typo.exit), ("E0705", Exit::Usage));
        assert!(typo.help.as_ref().unwrap().contains(run.short_id()), "{typo:?}");
        let other = RunDir::open(out.path().to_str().unwrap(), out.path()).unwrap_err();
        assert!(other.message.contains("is not a run directory"), "{other:?}");
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        let out = tempfile::tempdir().unwrap();
        for name in ["", "a/b", "a b", "ä", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(RunDir::create(out.path(), name).unwrap_err().code, "E0701", "{name}");
        }
        assert!(RunDir::list(out.path()).unwrap().is_empty());
    }

    #[test]
    fn a_place_that_cannot_hold_a_run_is_refused_before_anything_starts() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join("file"), "").unwrap();
        let under_a_file = RunDir::create(&out.path().join("file/runs"), "a").unwrap_err();
        assert_eq!((under_a_file.code, under_a_file.exit), (NOT_WRITABLE, Exit::Environment));
        let full = preflight(out.path(), u64::MAX).unwrap_err();
        assert_eq!((full.code, full.exit), (NO_SPACE, Exit::Environment));
        assert!(full.message.contains("MiB free"), "{}", full.message);
    }

    #[test]
    fn a_foreign_latest_is_left_alone() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join(LATEST)).unwrap();
        RunDir::create(out.path(), "a").unwrap();
        assert!(out.path().join(LATEST).is_dir());
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2);
    }
}
