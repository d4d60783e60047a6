//! Times the evaluation of structures: score, parameters, FLOPs, layers and ρ of one structure, from
//! its numbers alone. Prints a line per case, as `docs/benchmarks.md` describes.

use std::time::Instant;

use clap::Parser;
use nashost_deepmad_solver::{Chain, Choice, Design, Objective, preset};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// Structures of one measurement.
const WORK: u32 = 2_000_000;

#[derive(Parser)]
struct Options {
    /// Threads; there is one.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Measurements.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
}

#[expect(clippy::print_stdout, reason = "a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Options { threads, repeats } = Options::parse();
    if threads != 1 {
        return Err("one structure is evaluated in one thread: give --threads 1".into());
    }
    let program = preset::find("deepmad-r50").ok_or("no such preset")?.with_objective(Objective::Official);
    let chain = Chain::new(&program)?;
    let (mut seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
    for repeat in 0..=repeats {
        let (wall, cpu) = (Instant::now(), cpu());
        let sum = evaluate(&chain, u64::from(repeat) + 1);
        if !sum.is_finite() {
            return Err("a structure has no score".into());
        }
        // The first one warms up.
        if repeat > 0 {
            seconds.push(wall.elapsed().as_secs_f64() / f64::from(WORK));
            cpu_seconds.push((self::cpu() - cpu) / f64::from(WORK));
        }
    }
    let line = json!({
        "name": "mad-score of an R50-like structure",
        "side": "ours",
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    });
    println!("{line}");
    Ok(())
}

/// Evaluates structures around the published R50 with other depths and bottlenecks; returns a sum that
/// keeps the work from being left out.
fn evaluate(chain: &Chain, seed: u64) -> f64 {
    let widths = [(32, 0, 3), (128, 40, 5), (512, 56, 5), (872, 88, 5), (1024, 104, 5), (1232, 128, 5)];
    let choice = |(width, neck, kernel)| Choice { width, neck, kernel, depth: 1 };
    let mut design: Design = widths.into_iter().map(choice).collect();
    let mut state = seed;
    let mut sum = 0.0;
    for _ in 0..WORK {
        // A linear congruential generator; its high bits are random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as u32;
        let i = 2 + (draw % 4) as usize;
        let choice = &mut design.choices_mut()[i];
        choice.depth = 1 + draw / 4 % 15;
        choice.neck = choice.width / 8 / 8 * 8 + 8 * (draw / 64 % 8);
        let Some(evaluation) = chain.evaluate(&design) else { return f64::NAN };
        sum += evaluation.score + evaluation.rho + evaluation.costs.iter().sum::<f64>() * 1e-9;
    }
    sum
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
