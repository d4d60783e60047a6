//! Proves the optimum of a preset and prints the certificate as JSON.

use std::{ops::ControlFlow, time::Instant};

use clap::Parser;
use nashost_deepmad_solver::{Chain, Objective, anneal, exact, preset};

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
    #[arg(long, default_value_t = 8)]
    restarts: u32,
    /// Only anneals.
    #[arg(long)]
    anneal: bool,
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
    let begin = Instant::now();
    let annealing = anneal::Options { restarts: options.restarts, ..Default::default() };
    let found =
        anneal::anneal(&chain, &annealing, options.seed, &|| false).ok_or("annealing found nothing")?;
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!("annealing: {:.4} after {seconds:.1} s: {:?}", found.evaluation.score, found.design.choices());
    if options.anneal {
        return Ok(());
    }
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
    println!("{}", serde_json::to_string(&certificate)?);
    Ok(())
}
