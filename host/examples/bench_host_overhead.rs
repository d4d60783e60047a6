//! Times an epoch as the host trains it (`ours`) beside the bare training steps of that epoch
//! (`reference`): ResNet-50 on images of 64 px, on the CPU.
//!
//! The bare steps have their batch at hand. The host shuffles, gathers and normalises, and tells of
//! each step. Validation and checkpoints are not counted: the bare steps have none.

#[expect(dead_code, reason = "two sides take turns, so neither is measured on its own")]
mod bench;

use bench::{Bench, Moment, Times};
use clap::Parser;
use nashost::{
    config::train::TrainConfig,
    data::ImageStore,
    run::trial::{Control, TrialEvent},
    train::{Job, Resume, SAVE_EVERY, Trainer, loss::Truth, train},
};
use nashost_plugin_api::{
    architecture::Geometry,
    dataset::{DatasetInfo, Part, PixelType, Record, Target},
    metric::{MetricReport, MetricValue},
};
use nashost_plugin_torch::{Network, channels_last, gaussian};
use serde_json::json;
use tch::{Device, Tensor};

const BATCH: usize = 32;
const STEPS: usize = 2;
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
    let init = network.initialize(1);
    // The first epoch warms up.
    let config = TrainConfig { epochs: bench.repeats as u32 + 1, batch: BATCH, ..TrainConfig::default() };
    let store = store();
    let folder = tempfile::tempdir()?;
    let job = Job {
        network: &network,
        init: &init,
        store: &store,
        config: &config,
        seed: 1,
        device: Device::Cpu,
        run_dir: folder.path(),
        trial: "T0001",
        resume: Resume { identity: "", known_epochs: 0, known_checkpoints: &[], save_every: SAVE_EVERY },
    };

    let mut trainer = Trainer::new(&network, &init, &config, &[1.0; LABELS], Device::Cpu)?;
    let images = channels_last(&gaussian(1, &[BATCH as i64, 3, SIDE as i64, SIDE as i64]));
    let batch: Vec<usize> = (0..BATCH).collect();
    let truth = Truth::new(&store.targets(&batch), LABELS, Device::Cpu)?;
    let mut bare_epoch = || -> anyhow::Result<()> {
        for _ in 0..STEPS {
            trainer.step(&images, &truth, config.lr)?;
        }
        Ok(())
    };

    let (mut host, mut bare) = (Times::default(), Times::default());
    let mut begin = Moment::now();
    let mut failure = None;
    train(&job, &score, &mut |event| {
        match event {
            TrialEvent::Step { epoch, step, steps } if step == steps => {
                // The bare steps come between the host's epochs: both see the same machine.
                if epoch > 1 {
                    host.add(begin, STEPS);
                }
                let begin = Moment::now();
                failure = bare_epoch().err();
                if epoch > 1 {
                    bare.add(begin, STEPS);
                }
            }
            TrialEvent::Epoch(_) | TrialEvent::Checkpoint(_) => begin = Moment::now(),
            _ => {}
        }
        if failure.is_some() { Control::Stop } else { Control::Continue }
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let name = format!("training step in an epoch, ResNet-50, batch {BATCH}, {SIDE} px");
    bench.report(&name, "ours", &host)?;
    bench.report(&name, "reference", &bare)
}

/// Judges every epoch alike, so that after the first no checkpoint is written but the last.
fn score(_: &[f64], _: &[Target]) -> nashost::error::Result<MetricReport> {
    let same = |name: &str| (name.to_owned(), MetricValue::new(0.0, 1));
    Ok(MetricReport { overall: ["subset_accuracy", "macro_f1"].map(same).into(), ..MetricReport::default() })
}

/// Noise with made-up labels: `STEPS` batches to train on, two images for each other part.
fn store() -> ImageStore {
    let parts: Vec<Part> = [(Part::Train, STEPS * BATCH), (Part::Val, 2), (Part::Test, 2)]
        .into_iter()
        .flat_map(|(part, images)| vec![part; images])
        .collect();
    let records = (0..parts.len()).map(|i| Record {
        id: format!("{i}"),
        group: format!("{i}"),
        split: None,
        targets: (0..LABELS)
            .map(|label| if (i + label) % 3 == 0 { Target::Positive } else { Target::Negative })
            .collect(),
        attributes: Default::default(),
    });
    let size = parts.len() * SIDE * SIDE;
    let noise: Tensor = (gaussian(2, &[size as i64]) * 40.0 + 128.0).clamp(0.0, 255.0);
    let data = (0..size).map(|i| noise.double_value(&[i as i64]) as u8).collect();
    ImageStore {
        info: DatasetInfo {
            labels: (0..LABELS).map(|label| format!("label {label}")).collect(),
            normal_label: None,
            channels: 1,
            source: "noise".into(),
        },
        records: records.collect(),
        parts,
        dtype: PixelType::U8,
        channels: 1,
        resolution: SIDE,
        data,
        mean: vec![0.5],
        std: vec![0.16],
        fingerprint: String::new(),
        split_hash: String::new(),
    }
}
