//! What nashost's side of every benchmark shares: its arguments, its plugins, its clocks and its
//! output, which `xtask/src/bench/measure.rs` describes.

use std::{env, ffi::c_long, fs, path::Path, time::Instant};

use anyhow::Context as _;
use clap::Args;
use nashost::{
    device,
    plugin::{Registry, SearchPath, Trust},
};
use serde_json::json;

unsafe extern "C" {
    // SAFETY: the C standard's `clock` takes nothing and touches no memory of its caller.
    safe fn clock() -> c_long;
}

/// `CLOCKS_PER_SEC` of POSIX.
const TICKS_PER_SECOND: f64 = 1e6;

/// The arguments that every benchmark is given.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Threads to compute in.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Measurements of each case.
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: usize,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: Instant,
    ticks: c_long,
}

impl Moment {
    /// Reads the clocks.
    pub(crate) fn now() -> Self {
        Self { wall: Instant::now(), ticks: clock() }
    }
}

/// The repetitions of one case.
#[derive(Debug, Default)]
pub(crate) struct Times {
    wall: Vec<f64>,
    processor: Vec<f64>,
}

impl Times {
    /// Adds what has passed since `begin`, in which `work` pieces of work were done.
    pub(crate) fn add(&mut self, begin: Moment, work: usize) {
        let end = Moment::now();
        self.wall.push((end.wall - begin.wall).as_secs_f64() / work as f64);
        self.processor.push((end.ticks - begin.ticks) as f64 / TICKS_PER_SECOND / work as f64);
    }
}

impl Bench {
    /// Sets the number of threads and finds the plugins of the host that `NASHOST_BIN` names.
    pub(crate) fn start(&self) -> anyhow::Result<Registry> {
        // As the host does.
        nashost_plugin_torch::keep_freed_memory();
        tch::set_num_threads(i32::try_from(self.threads)?);
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global()?;
        let host = env::var_os("NASHOST_BIN").context("NASHOST_BIN names no host")?;
        let prefix =
            Path::new(&host).parent().and_then(Path::parent).context("NASHOST_BIN lies in no bin")?;
        let plugins = prefix.join("lib/nashost/plugins/1");
        Ok(Registry::new(&SearchPath { places: vec![plugins] }, Trust::default(), device::libtorch_abi()))
    }

    /// Calls `action` once to warm up and then measures it; each call does `work` pieces of work.
    pub(crate) fn measure(
        &self,
        name: &str,
        work: usize,
        mut action: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        action()?;
        let mut times = Times::default();
        for _ in 0..self.repeats {
            let begin = Moment::now();
            action()?;
            times.add(begin, work);
        }
        self.report(name, "ours", &times)
    }

    /// Prints a case of a side. Processor time means something for one thread only: others spin.
    #[expect(clippy::print_stdout, reason = "measurements go to standard output")]
    pub(crate) fn report(&self, name: &str, side: &str, times: &Times) -> anyhow::Result<()> {
        let mut line = json!({ "name": name, "side": side, "seconds": times.wall, "peak_mib": peak_mib()? });
        if self.threads == 1 {
            line["cpu_seconds"] = json!(times.processor);
        }
        println!("{line}");
        Ok(())
    }
}

/// Returns the most memory that this process has held, in MiB.
pub(crate) fn peak_mib() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.context("the system does not tell the peak memory")?.parse::<f64>()? / 1024.0)
}
