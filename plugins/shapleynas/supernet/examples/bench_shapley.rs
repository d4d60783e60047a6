//! Times the supernet: a training step, evaluations with all operations, with half of them and along a
//! walk, and a gradient by the mask. Prints a line per case, as `docs/benchmarks.md` describes.

use std::time::Instant;

use clap::Parser;
use nashost_plugin_torch::keep_freed_memory;
use nashost_shapley_supernet::{
    Batch, Geometry, Mixing, SearchConfig, SearchError, Supernet,
    config::{Loss, Value},
    game::Game as _,
    search::{Measure, Sgd, SupernetGame},
    space::{PLAYERS, softmax, tables},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tch::{Device, Kind, Tensor};

#[derive(Parser, Clone, Copy)]
struct Options {
    /// Threads of libtorch.
    #[arg(long, default_value_t = 1)]
    threads: i32,
    /// Measurements.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
}

/// Name, channels, layers, batch; all at 32 px with ten classes and k = 4.
const CASES: [(&str, usize, usize, i64); 2] =
    [("C16 L8, batch 32", 16, 8, 32), ("C8 L3, batch 32", 8, 3, 32)];

/// What [`SEARCH_STEPS`] steps of weights go with: a fifth of an epoch with values and of one without, at the
/// proportions of the official CIFAR-10 search divided by 32. The official side takes 2 of 10 walks; ours 2 of
/// the 8 gradients that take the place of ten walks, rounded up.
const SEARCH_STEPS: usize = 10;
const SEARCH_GRADIENTS: usize = 2;

/// Removals between two evaluations of a walk; a whole walk makes each of them.
const STRIDE: usize = 14;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    keep_freed_memory();
    tch::set_num_threads(options.threads);
    for (name, channels, layers, batch) in CASES {
        let geometry =
            Geometry { image_channels: 3, height: 32, width: 32, labels: 10, channels, layers, k: 4 };
        let supernet = Supernet::new(geometry, 1, Device::Cpu)?;
        let softmax = softmax(&tables(&[0.0; PLAYERS]));

        let mixing = Mixing::new(&softmax, Device::Cpu);
        let mut sgd = Sgd::new(supernet.parameters(), &SearchConfig::default());
        let data = images(batch);
        let labels = data.targets.argmax(-1, false);
        options.measure(&format!("training step, {name}"), 1, &mut || {
            let loss = |logits: &Tensor| logits.cross_entropy_for_logits(&labels);
            sgd.step(&supernet, &mixing, &data.images, &loss, 0.01).double_value(&[]);
            Ok(())
        })?;

        if layers == 3 {
            let once = Options { repeats: 1, ..options };
            let half: Vec<bool> = (0..PLAYERS).map(|player| player % 2 == 0).collect();
            once.measure(&format!("share of a search, {name}"), 1, &mut || {
                let loss = |logits: &Tensor| logits.cross_entropy_for_logits(&labels);
                for _ in 0..SEARCH_STEPS {
                    sgd.step(&supernet, &mixing, &data.images, &loss, 0.01).double_value(&[]);
                }
                let measure = Measure { value: Value::Loss, loss: Loss::CrossEntropy };
                let mut game = SupernetGame::new(supernet.freeze(), softmax, images(batch), measure);
                (0..SEARCH_GRADIENTS).try_for_each(|_| game.gradient(&half).map(drop))
            })?;
        }

        let measure = Measure { value: Value::Accuracy, loss: Loss::CrossEntropy };
        let mut game = SupernetGame::new(supernet.freeze(), softmax, images(batch), measure);
        // An order that both sides can write down: 37 has no factor in common with 196.
        let left_at = |player: usize| player * 37 % PLAYERS;
        let present = |removed| (0..PLAYERS).map(|player| left_at(player) >= removed).collect::<Vec<_>>();
        options.measure(&format!("evaluation, {name}"), 1, &mut || {
            game.value(&[true; PLAYERS])?;
            Ok(())
        })?;
        let half = present(PLAYERS / 2);
        options.measure(&format!("half evaluation, {name}"), 1, &mut || {
            game.value(&half)?;
            Ok(())
        })?;
        let walk: Vec<Vec<bool>> = (0..=PLAYERS).step_by(STRIDE).map(present).collect();
        options.measure(&format!("evaluation of a walk, {name}"), walk.len(), &mut || {
            walk.iter().try_for_each(|present| game.value(present).map(drop))
        })?;
        options.measure(&format!("mask gradient, {name}"), 1, &mut || {
            game.gradient(&half)?;
            Ok(())
        })?;
    }
    Ok(())
}

fn images(count: i64) -> Batch {
    let pixels = Tensor::arange(count * 3 * 32 * 32, (Kind::Float, Device::Cpu)) * 0.37;
    let classes: Vec<i64> = (0..count).map(|image| image % 10).collect();
    let targets = Tensor::from_slice(&classes).one_hot(10).to_kind(Kind::Float);
    Batch { images: pixels.sin().view([count, 3, 32, 32]), assessed: targets.ones_like(), targets }
}

impl Options {
    /// Calls `action` once to warm up and then measures it; a call does `work` pieces of work.
    #[expect(clippy::print_stdout, reason = "measurements go to standard output")]
    fn measure(
        &self,
        name: &str,
        work: usize,
        action: &mut dyn FnMut() -> Result<(), SearchError>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        action()?;
        let (mut wall_seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
        for _ in 0..self.repeats {
            let (wall, processor) = (Instant::now(), cpu());
            action()?;
            wall_seconds.push(wall.elapsed().as_secs_f64() / work as f64);
            cpu_seconds.push((cpu() - processor) / work as f64);
        }
        let mut line =
            json!({ "name": name, "side": "ours", "seconds": wall_seconds, "peak_mib": peak_mib()? });
        // Of more threads, some spin.
        if self.threads == 1 {
            line["cpu_seconds"] = json!(cpu_seconds);
        }
        println!("{line}");
        Ok(())
    }
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Returns the most memory that this process has held, in MiB.
fn peak_mib() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.ok_or("the system does not tell the peak memory")?.parse::<f64>()? / 1024.0)
}
