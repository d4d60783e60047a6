//! Whether a day-long run needs more memory from hour to hour.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use crate::{Sandbox, Set, process};

/// Structures that the search scores.
const EVALUATIONS: usize = 12_000;
/// The search. The networks are small, in weights and in images: a larger network needs more memory, and that
/// is no leak.
const SEARCH: &str = "run --plugin zennas -s data.region=neck -s data.size=48 -s search.evaluations=12000 \
                      -s search.iterations=480000 -s search.score=monte-carlo -s score.batch=4 -s search.rescore=2 -s search.population=64 \
                      -s search.top=1 --seeds 1 -s search.budget=[{kind=\"params\",max=150000.0}] \
                      -s train.resolution=16 -s train.epochs=1 -s eval.bootstrap=20 --device cpu -j 1";
/// Seeds, and so trials, of the other run: more than 200, all by one worker.
const TRIALS: usize = 220;

/// Between these shares of the work a process has its plateau; what it holds after [`END`] is compared
/// with that. An evolution comes to its large networks only in some thousands of steps, so the plateau begins
/// late; from there to the end there are still more than 5,000 structures.
const PLATEAU: [f64; 2] = [0.4, 0.5];
const END: f64 = 0.9;
/// Growth that counts as none.
const FLAT: f64 = 0.01;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Memory of one process, at its plateau and at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// Whose: `search, driver`.
    pub who: String,
    /// `VmRSS` or `RssAnon`.
    pub measure: &'static str,
    /// Median on the plateau, in KiB.
    pub plateau: f64,
    /// Median of the last tenth, in KiB.
    pub end: f64,
    /// Looks at the process.
    pub looks: usize,
}

impl Growth {
    /// Growth as a share of the plateau.
    pub fn share(&self) -> f64 {
        self.end / self.plateau - 1.0
    }

    /// Whether the memory of the process, `VmRSS`, grew by less than one percent. `RssAnon`, a part of it, tells
    /// what kind of memory that is.
    pub fn is_flat(&self) -> bool {
        self.measure != "VmRSS" || self.share() < FLAT
    }
}

/// Makes both runs and measures their processes.
///
/// # Panics
///
/// Panics if a run fails.
pub fn measure(say: &mut dyn FnMut(&str)) -> Vec<Growth> {
    let place = Sandbox::default();
    let mut growths = watch(&place, "search", SEARCH, "\"type\":\"candidate\"", EVALUATIONS, say);
    say(&table(&growths));
    let place = Sandbox::default();
    Set::write(place.path("set"));
    let trials = format!("{} --seeds 1..{TRIALS} --device cpu -j 1", Set::RUN);
    growths.extend(watch(&place, "trials", &trials, "\"event\":\"finished\"", TRIALS, say));
    growths
}

/// The measurements as a Markdown table.
pub fn table(growths: &[Growth]) -> String {
    let mut table =
        "| process | measure | plateau | end | growth | looks |\n|---|---|---:|---:|---:|---:|\n".to_owned();
    for growth in growths {
        let mib = |kib: f64| kib / 1024.0;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.1} MiB | {:.1} MiB | {:+.2} % | {} |",
            growth.who,
            growth.measure,
            mib(growth.plateau),
            mib(growth.end),
            100.0 * growth.share(),
            growth.looks
        );
    }
    table
}

/// Makes the run `line`, whose work is `total` events with the words `unit`, and measures.
fn watch(
    sandbox: &Sandbox,
    name: &str,
    line: &str,
    unit: &str,
    total: usize,
    say: &mut dyn FnMut(&str),
) -> Vec<Growth> {
    let mut command = process();
    command.current_dir(sandbox.path("")).args(line.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut driver = command.spawn().expect("nashost starts");
    let mut looks: BTreeMap<(&'static str, &'static str), Vec<(f64, f64)>> = BTreeMap::new();
    let mut seen = Seen::default();
    let status = loop {
        if let Some(status) = driver.try_wait().expect("a child can be waited for") {
            break status;
        }
        let before = seen.count;
        seen.read(sandbox, unit);
        let share = seen.count as f64 / total as f64;
        if seen.count * 10 / total != before * 10 / total {
            say(&format!("{name}: {} of {total}", seen.count));
        }
        for (who, process) in [("driver", Some(driver.id())), ("worker", worker(&driver))] {
            for measure in ["VmRSS", "RssAnon"] {
                if let Some(kib) = process.and_then(|process| memory(process, measure)) {
                    looks.entry((who, measure)).or_default().push((share, kib));
                }
            }
        }
        thread::sleep(LOOK);
    };
    assert!(status.success(), "`{line}` ended with {status}");
    assert!(seen.count >= total * 9 / 10, "only {} of {total} were seen", seen.count);
    let growth = |((who, measure), looks): ((&str, &'static str), Vec<(f64, f64)>)| {
        let median = |from: f64, to: f64| {
            let mut part: Vec<f64> =
                looks.iter().filter(|(share, _)| (from..to).contains(share)).map(|look| look.1).collect();
            part.sort_by(f64::total_cmp);
            part.get(part.len() / 2).copied().expect("a process is looked at all the time")
        };
        Growth {
            who: format!("{name}, {who}"),
            measure,
            plateau: median(PLATEAU[0], PLATEAU[1]),
            // What comes after the last unit is other work.
            end: median(END, 1.0),
            looks: looks.len(),
        }
    };
    looks.into_iter().map(growth).collect()
}

/// What was read of a run's events.
#[derive(Debug, Default)]
struct Seen {
    bytes: usize,
    count: usize,
}

impl Seen {
    fn read(&mut self, sandbox: &Sandbox, unit: &str) {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let Ok(mut file) = fs::File::open(sandbox.path("runs/latest/events.jsonl")) else { return };
        let mut text = Vec::new();
        if file.seek(SeekFrom::Start(self.bytes as u64)).and_then(|_| file.read_to_end(&mut text)).is_err() {
            return;
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.bytes += whole;
        self.count += String::from_utf8_lossy(&text[..whole]).matches(unit).count();
    }
}

/// The one child of `driver`, if it has one.
fn worker(driver: &Child) -> Option<u32> {
    let driver = driver.id();
    let children = fs::read_to_string(format!("/proc/{driver}/task/{driver}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// A line of `/proc/<process>/status`, in KiB.
fn memory(process: u32, measure: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(measure)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
