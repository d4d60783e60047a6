//! The log: warnings on stderr as loud as asked, everything in `log/host.log`.
//!
//! Records of plugins carry the target `plugin`. What is logged before a run has its directory is
//! kept and written there first.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    registry,
};

use super::{dir::RunDir, fault::io_error, progress::Progress};
use crate::error::{Error, Exit, Result};

/// Name of the file in the run directory.
pub const HOST_LOG: &str = "log/host.log";
/// Target of the log records of plugins.
pub const PLUGIN_TARGET: &str = "plugin";
/// Environment variable with a filter for stderr that overrides the flags (`info,plugin=trace`).
pub const FILTER_VARIABLE: &str = "NASHOST_LOG";

/// Bytes kept before there is a file; what comes later is dropped until there is one.
const EARLY: usize = 1 << 20;

/// How much is logged to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity(Level);

impl Verbosity {
    /// From the flags: `-q` leaves errors; otherwise warnings, and with each `-v` one level more.
    pub fn new(quiet: bool, verbose: u8) -> Self {
        Self(match (quiet, verbose) {
            (true, _) => Level::ERROR,
            (false, 0) => Level::WARN,
            (false, 1) => Level::INFO,
            (false, 2) => Level::DEBUG,
            (false, _) => Level::TRACE,
        })
    }
}

/// The log of this process. Clones are handles to the same log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    sink: Arc<Mutex<Sink>>,
    warnings: Warnings,
}

/// Who is told every warning, if anybody is.
#[derive(Clone, Default)]
struct Warnings(Arc<OnceLock<Listener>>);

type Listener = Box<dyn Fn(&str) + Send + Sync>;

impl std::fmt::Debug for Warnings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warnings").finish_non_exhaustive()
    }
}

impl Write for &Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(tell) = self.0.get() {
            tell(String::from_utf8_lossy(bytes).trim_end());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Where the lines for `host.log` go.
#[derive(Debug)]
enum Sink {
    Early(Vec<u8>),
    File(File),
}

impl Default for Sink {
    fn default() -> Self {
        Self::Early(Vec::new())
    }
}

/// Makes the log of this process, which writes to stderr without disturbing `progress`.
///
/// # Errors
///
/// Fails if [`FILTER_VARIABLE`] is not a filter, or the process has a log already.
pub fn init_logging(verbosity: Verbosity, progress: &Progress) -> Result<Log> {
    let filter = match env::var(FILTER_VARIABLE) {
        Ok(text) => text.parse::<Targets>().map_err(|error| {
            Error::new(
                Exit::Usage,
                "E0711",
                format!("{FILTER_VARIABLE}=`{text}` is not a log filter: {error}"),
            )
            .help("write a level, or targets with levels: `info,plugin=trace`")
        })?,
        Err(_) => Targets::new().with_default(verbosity.0),
    };
    let log = Log::default();
    let subscriber = subscriber(filter, log.clone(), Stderr(progress.clone()));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| {
        Error::new(Exit::Bug, "E0709", "the log was started twice")
            .help("this is a bug of nashost; please report it")
    })?;
    Ok(log)
}

impl Log {
    /// Writes to `log/host.log` of `run` from here on, after what was logged before.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn attach(&self, run: &RunDir) -> Result<()> {
        let path = run.file(HOST_LOG);
        let open = |early: &[u8]| {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(early)?;
            Ok(file)
        };
        let mut sink = self.sink();
        let early = match &mut *sink {
            Sink::Early(lines) => mem::take(lines),
            Sink::File(_) => Vec::new(),
        };
        *sink = Sink::File(open(&early).map_err(|e: io::Error| io_error("write to", &path, &e))?);
        Ok(())
    }

    /// Tells `tell` every warning and error from here on, one line each; once in a process.
    pub fn forward_warnings(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.warnings.0.set(Box::new(tell));
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subscriber<W>(filter: Targets, log: Log, stderr: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Other crates may be talkative; their details help nobody who reads the log of a run.
    let everything = Targets::new()
        .with_default(Level::INFO)
        .with_target("nashost", Level::DEBUG)
        .with_target(PLUGIN_TARGET, Level::DEBUG);
    let warnings = fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_writer(log.warnings.clone())
        .with_filter(LevelFilter::WARN);
    let file = fmt::layer().with_ansi(false).with_writer(log).with_filter(everything);
    let terminal = fmt::layer().with_ansi(false).without_time().with_writer(stderr).with_filter(filter);
    registry().with(file).with(warnings).with(terminal)
}

impl Write for &Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.sink() {
            Sink::File(file) => file.write_all(bytes)?,
            Sink::Early(lines) if lines.len() + bytes.len() <= EARLY => lines.extend_from_slice(bytes),
            Sink::Early(_) => {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Writes to stderr while the progress bars are off the screen.
#[derive(Debug, Clone)]
struct Stderr(Progress);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracing::{debug, info, subscriber::with_default, trace, warn};

    use super::*;

    #[test]
    fn the_file_holds_everything_from_the_start_and_stderr_what_was_asked() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "a").unwrap();
        let (log, stderr) = (Log::default(), Log::default());
        let filter = Targets::new().with_default(Verbosity::new(false, 0).0);
        with_default(subscriber(filter, log.clone(), stderr.clone()), || {
            info!("before the run");
            log.attach(claim.dir()).unwrap();
            let _span = tracing::info_span!("trial", trial = 3).entered();
            warn!(target: PLUGIN_TARGET, plugin = "zennas", "from a plugin");
            debug!(target: "nashost::train", "a detail");
            trace!(target: "nashost::train", "too much");
            debug!(target: "ureq", "a detail of another crate");
        });
        let text = fs::read_to_string(claim.dir().file(HOST_LOG)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].contains("before the run"), "{text}");
        assert!(lines[1].contains("trial{trial=3}") && lines[1].contains("plugin=\"zennas\""), "{text}");
        assert!(lines[2].contains("a detail"), "{text}");
        let Sink::Early(seen) = &*stderr.sink() else { panic!("stderr has no file") };
        let seen = String::from_utf8_lossy(seen);
        assert_eq!(seen.lines().count(), 1, "{seen}");
        assert!(seen.contains("from a plugin"), "{seen}");
    }

    #[test]
    fn flags_choose_the_level() {
        let levels =
            [(true, 2), (false, 0), (false, 1), (false, 2), (false, 9)].map(|(q, v)| Verbosity::new(q, v).0);
        assert_eq!(levels, [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]);
    }
}
