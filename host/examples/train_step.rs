//! Times a training step: `train_step GRAPH.json THREADS BATCH STEPS`, on the CPU, with Adam in 32
//! bits. Prints `{"fastest_s": …, "median_s": …}`. The first two steps are not counted.

#![expect(clippy::print_stdout, reason = "the answer goes to standard output")]

use std::{env, fs, time::Instant};

use anyhow::Context as _;
use nashost::{
    config::train::TrainConfig,
    train::{Trainer, loss::Truth},
};
use nashost_plugin_api::{
    dataset::Target,
    graph::{Graph, Op},
};
use nashost_plugin_torch::{Network, channels_last, gaussian};
use tch::Device;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, numbers @ ..] = &arguments[..] else { anyhow::bail!("no graph given") };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
    let [threads, batch, steps] = numbers[..] else { anyhow::bail!("expected THREADS BATCH STEPS") };
    tch::set_num_threads(i32::try_from(threads)?);

    let graph: Graph = serde_json::from_slice(&fs::read(path)?)?;
    let [channels, height, width] = graph.input.map(|size| size as i64);
    let labels = graph.nodes.iter().rev().find_map(|node| match node.op {
        Op::Gemm { out_features, .. } => Some(out_features),
        _ => None,
    });
    let labels = labels.context("the graph has no Gemm")?;
    let network = Network::new(graph)?;
    let config = TrainConfig::default();
    let pos_weight = vec![1.0; labels];
    let mut trainer = Trainer::new(&network, &network.initialize(1), &config, &pos_weight, Device::Cpu)?;
    let images = channels_last(&gaussian(1, &[batch as i64, channels, height, width]));
    let truth = Truth::new(&vec![Target::Positive; batch * labels], labels, Device::Cpu)?;

    let mut seconds = Vec::with_capacity(steps);
    for step in 0..steps + 2 {
        let begin = Instant::now();
        trainer.step(&images, &truth, config.lr)?;
        if step >= 2 {
            seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let fastest = seconds.first().context("no step to time")?;
    println!("{{\"fastest_s\": {fastest}, \"median_s\": {}}}", seconds[seconds.len() / 2]);
    Ok(())
}
