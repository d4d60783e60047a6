//! Times a training step of ResNet-50, with Adam in 32 bits on the CPU.

mod bench;

use bench::Bench;
use clap::Parser;
use nashost::{
    config::train::TrainConfig,
    train::{Trainer, loss::Truth},
};
use nashost_plugin_api::{architecture::Geometry, dataset::Target};
use nashost_plugin_torch::{Network, channels_last, gaussian};
use serde_json::json;
use tch::Device;

const BATCH: usize = 32;
const SIDE: usize = 64;
const LABELS: usize = 8;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
}

fn main() -> anyhow::Result<()> {
    let Options { bench } = Options::parse();
    let architecture = bench.start()?.architecture("resnet50", &json!({}))?;
    let geometry = Geometry { input: [3, SIDE, SIDE], outputs: LABELS };
    let network = Network::new(architecture.graph(&architecture.initial()?, &geometry)?)?;
    let config = TrainConfig::default();
    let mut trainer = Trainer::new(&network, &network.initialize(1), &config, &[2.0; LABELS], Device::Cpu)?;
    let images = channels_last(&gaussian(1, &[BATCH as i64, 3, SIDE as i64, SIDE as i64]));
    let targets: Vec<Target> =
        (0..BATCH * LABELS).map(|i| if i % 3 == 0 { Target::Positive } else { Target::Negative }).collect();
    let truth = Truth::new(&targets, LABELS, Device::Cpu)?;
    bench.measure(&format!("ResNet-50, batch {BATCH}, {SIDE} px"), 1, || {
        trainer.step(&images, &truth, config.lr)?;
        Ok(())
    })
}
