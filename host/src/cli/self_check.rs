//! `nashost self-check`: proves on this machine that host, plugins and device work together.

use nashost_plugin_api::abi::foreign::maps;
use nashost_plugin_torch::{ForeignHandover, check_handover};
use serde_json::json;

use super::{
    Context,
    args::{ConfigArgs, SelfCheckArgs},
    output::Table,
};
use crate::{
    device,
    error::{Error, Exit, Result},
    pipeline,
    plugin::Registry,
};

/// Trainings whose times are compared: plugin, settings that keep them short.
const WORKLOADS: [(&str, &[&str]); 2] = [
    ("zennas", &["search.evaluations=24", "search.rescore=0", "train.epochs=3"]),
    ("resnet50", &["train.epochs=2", "train.resolution=128"]),
];

/// Runs all checks on `--device` and, for comparison, on the CPU.
pub(super) fn command(args: &SelfCheckArgs, context: &Context) -> Result<Exit> {
    let chosen = device::resolve(&args.device)?;
    let registry = context.registry()?;
    let mut table = Table::new(&["check", "result"]);
    table.row([json!("device"), json!(chosen.note)]);
    table.row([json!("CUDA devices seen by the host"), json!(device::facts().devices)]);
    for (plugin, handover) in plugins(&registry)? {
        table.row([json!(format!("CUDA devices seen by `{plugin}`")), json!(handover.cuda_devices())]);
    }
    let handovers: Vec<ForeignHandover> = plugins(&registry)?.into_iter().map(|(_, h)| h).collect();
    for name in ["cpu", &chosen.name] {
        check_handover(name, &handovers).map_err(|e| failed(&format!("tensors on {name}: {e}")))?;
        table.row([
            json!(format!("tensors on {name}, made in one plugin and freed by the next")),
            json!("ok"),
        ]);
    }
    let copies = maps::files_named("libtorch_cpu.so");
    if copies.len() != 1 {
        return Err(failed(&format!("{} copies of libtorch are mapped", copies.len())));
    }
    let libtorch = copies.iter().map(|path| path.display().to_string()).collect::<String>();
    table.row([json!("one libtorch is mapped"), json!(libtorch)]);
    let mut devices = vec![("cpu", "fp32")];
    if chosen.name != "cpu" {
        devices.extend([(chosen.name.as_str(), "fp32"), (chosen.name.as_str(), "bf16")]);
    }
    for (plugin, settings) in WORKLOADS {
        for &(name, precision) in &devices {
            let seconds = workload(plugin, settings, name, precision, context)?;
            table.row([json!(format!("{plugin} on {name} in {precision}")), json!(seconds)]);
        }
    }
    if let Some(memory) = gpu_memory().filter(|_| chosen.name != "cpu") {
        table.row([json!("GPU memory in use at the end (MiB; the allocator keeps its peak)"), json!(memory)]);
    }
    context.out.table(&table)?;
    Ok(Exit::Ok)
}

fn failed(what: &str) -> Error {
    Error::new(Exit::No, "E0457", format!("self-check failed: {what}"))
}

/// The hand-over tables of two plugins that use tensors.
fn plugins(registry: &Registry) -> Result<Vec<(&'static str, ForeignHandover)>> {
    ["zen-score", "latency"]
        .into_iter()
        .map(|id| {
            let metric = registry.architecture_metric(id, &json!({}))?;
            let handover = ForeignHandover::of(metric.instance());
            Ok((id, handover.ok_or_else(|| failed(&format!("the plugin of `{id}` hands over no tensors")))?))
        })
        .collect()
}

/// Searches and trains; says how long it took and what came out.
fn workload(
    plugin: &str,
    settings: &[&str],
    name: &str,
    precision: &str,
    context: &Context,
) -> Result<String> {
    let folder = std::env::temp_dir().join(format!("nashost-self-check-{}", std::process::id()));
    let mut set: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
    set.extend([format!("train.precision={precision}"), "eval.bootstrap=0".to_owned()]);
    let args = ConfigArgs {
        plugin: Some(plugin.to_owned()),
        set,
        device: Some(name.to_owned()),
        out: Some(folder.display().to_string()),
        ..ConfigArgs::default()
    };
    let (registry, resolved) = context.resolve(&args)?;
    let device = device::resolve(name)?;
    let result = pipeline::run(&resolved, &context.host(&registry, &device));
    let removed = std::fs::remove_dir_all(&folder);
    let finished = result?;
    if let Err(why) = removed {
        context.out.warn(&format!("{} could not be removed: {why}", folder.display()));
    }
    if finished.exit != Exit::Ok {
        return Err(failed(&format!("{plugin} on {name} in {precision} has no result")));
    }
    let method = finished.summary.methods.first();
    let auroc = method.and_then(|m| m.test.get("macro_auroc")).and_then(|a| a.mean);
    Ok(format!(
        "search {:.2} s, training {:.2} s, macro AUROC {}",
        finished.times.search_s,
        finished.times.train_s,
        auroc.map_or_else(|| "undefined".to_owned(), |a| format!("{a:.3}")),
    ))
}

/// Memory in use on the first GPU, as the driver's own tool says.
fn gpu_memory() -> Option<u64> {
    let output = std::process::Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits"])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next()?.trim().parse().ok()
}
