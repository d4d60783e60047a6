//! Proves the optimum of a preset and prints the certificate as JSON.

use std::ops::ControlFlow;

use clap::Parser;
use nashost_deepmad_solver::{Chain, Objective, anneal, exact, preset};
use rustix::time::{ClockId, clock_gettime};

#[derive(Parser)]
struct Options {
    /// Name of a preset.
    program: String,
    /// `official`, `repaired` or `paper`.
    #[arg(long, default_value = "repaired")]
    objective: String,
    /// Lets the first super-block widen the stem without limit.
    #[arg(long)]
    free_stem: bool,
    /// Step of widths; those of the space are rounded up to it.
    #[arg(long)]
    step: Option<u32>,
    /// Relative gap to end at.
    #[arg(long, default_value_t = 0.0)]
    gap: f64,
    /// Seconds on the processor to end after.
    #[arg(long, default_value_t = f64::INFINITY)]
    seconds: f64,
    /// Partial structures looked at in one region before it is split.
    #[arg(long, default_value_t = 200_000)]
    limit: u64,
    /// Seed of the annealing.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Restarts of the annealing.
    #[arg(long, default_value_t = 4)]
    restarts: u32,
    /// Only anneals, once for each of so many seeds.
    #[arg(long)]
    anneal: Option<u64>,
}

/// Seconds that the process has computed, and the most memory that it has held in MiB, as far as the
/// system says.
fn spent() -> (f64, f64) {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    (time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9, peak.map_or(f64::NAN, |kib: f64| kib / 1024.0))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let objective: Objective = serde_json::from_value(options.objective.into())?;
    let mut program = preset::find(&options.program)
        .ok_or_else(|| format!("no such preset; there are {}", preset::NAMES.join(", ")))?
        .with_objective(objective);
    if options.free_stem {
        program = program.with_free_stem();
    }
    if let Some(step) = options.step {
        program.step = step;
        for width in program.blocks.iter_mut().flat_map(|block| &mut block.widths) {
            *width = width.next_multiple_of(step);
        }
    }
    let chain = Chain::new(&program)?;
    let annealing = anneal::Options { restarts: options.restarts, ..Default::default() };
    let anneal = |seed| {
        let (begin, _) = spent();
        let found = anneal::anneal(&chain, &annealing, seed, &|| false).ok_or("annealing found nothing")?;
        let seconds = spent().0 - begin;
        let score = found.evaluation.score;
        eprintln!("annealing, seed {seed}: {score:.4} after {seconds:.1} s: {:?}", found.design.choices());
        Ok::<_, &str>(found)
    };
    if let Some(seeds) = options.anneal {
        return (0..seeds).try_for_each(|seed| Ok(anneal(seed).map(|_| ())?));
    }
    let found = anneal(options.seed)?;
    let settings = exact::Options { gap: options.gap, limit: options.limit };
    let mut search = exact::Search::new(&program, &found.design, settings)?;
    let mut next = 0.0;
    let certificate = search.run(
        |progress| {
            let effort = &progress.effort;
            if effort.cpu_seconds >= next {
                next = effort.cpu_seconds * 1.1 + 1.0;
                eprintln!(
                    "{:7.1} s  best {:.4}  bound {:.4}  gap {:.4} %  {} regions, {} open, {} relaxations, {} searches, {} nodes",
                    effort.cpu_seconds, progress.score, progress.upper_bound, 100.0 * progress.gap,
                    effort.regions, effort.open, effort.relaxations, effort.searches, effort.nodes,
                );
            }
            if effort.cpu_seconds > options.seconds { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        &|| false,
    );
    let (seconds, peak) = spent();
    eprintln!("{seconds:.1} s on the processor in all, {peak:.0} MiB at most");
    println!("{}", serde_json::to_string(&certificate)?);
    Ok(())
}
