//! `nashost proxy-check`.

use nashost_stats::{
    bootstrap::Settings,
    proxy::{Association, Worth, check},
};
use serde_json::{Value, json};

use super::{
    Context,
    args::{Format, ProxyCheckArgs},
    output::{Style, Table},
};
use crate::{
    device,
    error::{Exit, Result},
    run::tables,
    statistics::{read_all, score_trained, structures, undefined},
};

/// Below this many structures an interval of a rank correlation is too wide to tell anything.
const FEW: usize = 10;

/// Correlates proxies with results of training, and with size.
pub(super) fn command(args: &ProxyCheckArgs, context: &Context) -> Result<Exit> {
    let mut runs = read_all(&args.runs, &args.out, tables::read)?;
    if !args.score.is_empty() {
        let device = device::resolve("auto")?;
        let registry = context.registry()?;
        let failures = score_trained(&mut runs, &args.score, &registry, &device.name, args.seed)?;
        for failure in failures {
            context.out.warn(&format!("left out: {failure}"));
        }
    }
    let (metric, found) = structures(&runs, args.metric.as_deref())?;
    let settings = Settings { resamples: args.resamples, seed: args.seed };
    let worths = check(&found, args.level, settings).map_err(|why| undefined("the proxies", &why))?;
    let count = found.trained.len();
    if count < FEW {
        context.out.warn(&format!(
            "only {count} of at least {FEW} structures were trained: too few to say what a proxy is worth"
        ));
    }
    if context.out.format() == Format::Json {
        context.out.json(&json!({"metric": metric, "structures": count, "proxies": worths}))?;
        return Ok(Exit::Ok);
    }
    if context.out.format() == Format::Table {
        let heading = format!("{metric} of {count} trained structures");
        context.out.text(&(context.out.paint(Style::Strong, &heading) + "\n\n"))?;
    }
    let mut table = Table::new(&[
        "proxy",
        "structures",
        "ρ with result",
        "interval",
        "bootstrap",
        "p",
        "τ",
        "ρ with params",
        "beyond params",
        "why",
    ]);
    for worth in &worths {
        table.row(row(worth));
    }
    context.out.table(&table)?;
    Ok(Exit::Ok)
}

fn row(worth: &Worth) -> [Value; 10] {
    let with = worth.trained;
    let short = |value: Option<f64>| value.map_or(Value::Null, |value| json!((value * 1e4).round() / 1e4));
    let interval = |bounds: Option<[f64; 2]>| {
        bounds.map_or(Value::Null, |[low, high]| json!(format!("[{low:+.2}, {high:+.2}]")))
    };
    let of_size = |name: &str| worth.sizes.get(name).copied().flatten().map(|with: Association| with.rho);
    [
        json!(worth.proxy),
        json!(worth.structures),
        short(with.map(|with| with.rho)),
        interval(with.and_then(|with| with.interval)),
        interval(with.and_then(|with| with.bootstrap)),
        short(with.and_then(|with| with.p)),
        short(with.map(|with| with.tau)),
        short(of_size("params")),
        short(worth.beyond.get("params").copied().flatten()),
        json!(worth.why),
    ]
}
