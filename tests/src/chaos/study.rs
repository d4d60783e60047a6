//! A study under attack: the process of the study, those of its runs, and their workers are killed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{ENOUGH, faults, record::Record, strike, tally::Tally};
use crate::{Run, Sandbox, Set, process};

/// Two methods and two controls on few images, at two learning rates: eight runs.
const STUDY: &str = r#"
name = "chaos"
seeds = [1]
all = { train = { resolution = 16, epochs = 3 }, eval = { bootstrap = 20 }, run = { device = "cpu", attempts = 1000000 } }
controls = { params = false }
grid = { "train.lr" = [1e-3, 2e-3] }

[[datasets]]
name = "set"
set = { data = { plugin = "csv-images", root = "set" } }

[[methods]]
name = "zennas"
plugin = "zennas"
set = { search = { iterations = 200, rescore = 2 } }

[[methods]]
name = "plain"
set = { arch = { plugin = "superres" } }
"#;
const LINE: &str = "study chaos.toml -j 2 --keep-going --retry-failed";
const FOLDER: &str = "studies/chaos";
/// Tables of a study that nothing may change.
const TABLES: [&str; 3] = ["results.csv", "comparisons.csv", "proxies.csv"];
/// Runs of the study.
const RUNS: usize = 8;
/// Launches after which a study that does not get done is given up.
const LAUNCHES: u32 = 300;
/// The longest time to the next blow, as a share of the time that the study takes in peace.
const SPAN: f64 = 0.2;
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Exit statuses of a study with runs that failed.
const FAILED: [i32; 2] = [1, 7];

/// Makes a study in peace and then in chaos, until `kills` processes were killed; `say` hears of each
/// round.
///
/// # Panics
///
/// Panics if the study in peace fails.
pub fn unleash(kills: u32, seed: u64, faults: bool, say: &mut dyn FnMut(&str)) -> Tally {
    let began = Instant::now();
    let sandbox = sandbox();
    sandbox.nashost(LINE).assert().success();
    let peace = tables(&sandbox);
    let pace = began.elapsed();
    say(&format!("in peace the study takes {:.1} s", pace.as_secs_f64()));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = Tally::default();
    while tally.kills() < kills && tally.problems.len() < ENOUGH {
        let (place, before) = (self::sandbox(), tally.problems.len());
        let mut round = Round { place: &place, pace, kills, faults, kept: BTreeMap::new() };
        for launch in 1.. {
            let done = round.launch(launch, &mut random, &mut tally);
            if done || launch == LAUNCHES || tally.problems.len() > before {
                break;
            }
        }
        if tally.problems.len() == before {
            tally.problems.extend(problems(&place, &peace));
        }
        tally.rounds += 1;
        say(&format!("study {}: {}", tally.rounds, tally.line()));
        tally.problems[before..].iter().for_each(|problem| say(problem));
    }
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    fs::write(sandbox.path("chaos.toml"), STUDY).expect("the sandbox is writable");
    sandbox
}

/// A study under attack.
struct Round<'a> {
    place: &'a Sandbox,
    /// Time that the study takes in peace.
    pace: Duration,
    kills: u32,
    faults: bool,
    /// Files of the runs that are finished.
    kept: BTreeMap<PathBuf, Vec<u8>>,
}

impl Round<'_> {
    /// Starts the study or goes on with it, and does to it what chance wills; says whether it is done.
    fn launch(&mut self, launch: u32, random: &mut ChaCha8Rng, tally: &mut Tally) -> bool {
        let faulty = self.faults && random.random_bool(0.5);
        let mut command = process();
        command.current_dir(self.place.path("")).args(LINE.split_whitespace());
        if faulty {
            faults::endanger(&mut command, self.place, "studies", random);
        }
        let messages = File::create(self.place.path("messages")).expect("the sandbox is writable");
        let mut study =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages).spawn().expect("it starts");
        tally.resumes += u32::from(launch > 1);
        let (mut killed, mut runs_struck) = (false, faulty);
        let words = format!("--driver\0{}\0", study.id());
        let cells = || strike::with_words(&words);
        let mut known = Vec::new();
        let mut ended = None;
        while ended.is_none() && !killed && tally.kills() < self.kills {
            let until = Instant::now() + self.pace.mul_f64(SPAN * random.random::<f64>());
            while ended.is_none() && Instant::now() < until {
                thread::sleep(LOOK);
                ended = study.try_wait().expect("a child can be waited for");
            }
            known = cells();
            match random.random_range(0..4) {
                _ if ended.is_some() => {}
                0 | 1 => {
                    study.kill().expect("a child can be killed");
                    killed = true;
                }
                2 => {
                    let struck = strike::kill_one(&known, random);
                    runs_struck |= struck;
                    tally.drivers += u32::from(struck);
                }
                _ => {
                    let struck = known.iter().any(|cell| strike::kill_worker(cell.unsigned_abs(), random));
                    tally.workers += u32::from(struck);
                }
            }
        }
        let status = ended.unwrap_or_else(|| study.wait().expect("a child can be waited for"));
        let by_fault = faults::count(self.place, study.id(), tally);
        tally.drivers += u32::from(killed && !by_fault && status.signal().is_some());
        let workers = known.iter().flat_map(|cell| strike::orphans(cell.unsigned_abs()));
        let orphans: Vec<i32> = strike::leave(cells).into_iter().chain(workers).collect();
        if !orphans.is_empty() {
            tally.problems.push(format!("processes {orphans:?} outlived their study {}", study.id()));
        }
        let problem = self.judge(status, killed || by_fault, runs_struck, faulty, tally);
        let number = tally.rounds + 1;
        tally.problems.extend(problem.map(|what| format!("study {number}, launch {launch}: {what}")));
        status.success()
    }

    /// Looks at how a launch ended, and at what is left of the finished runs.
    fn judge(
        &mut self,
        status: ExitStatus,
        killed: bool,
        runs_struck: bool,
        faulty: bool,
        tally: &mut Tally,
    ) -> Option<String> {
        let now = finished(self.place);
        let changed = self.kept.iter().find(|(path, content)| now.get(*path) != Some(*content));
        let changed = changed.map(|(path, _)| format!("{} of a finished run changed", path.display()));
        self.kept = now;
        let messages = fs::read_to_string(self.place.path("messages")).unwrap_or_default();
        let as_it_may = match (status.code(), faults::code(&messages)) {
            (None, _) => killed,
            (Some(0), _) => true,
            (Some(code), _) if FAILED.contains(&code) => runs_struck,
            (Some(faults::ENVIRONMENT), Some(code)) if faulty => {
                *tally.stops.entry(code).or_default() += 1;
                true
            }
            _ => false,
        };
        let odd = !as_it_may || messages.contains("panicked");
        changed.or_else(|| odd.then(|| format!("the study ended with {status}, and said:\n{messages}")))
    }
}

/// The files of all finished runs.
fn finished(place: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = place.contents(&format!("{FOLDER}/runs"));
    let done: Vec<PathBuf> = files
        .keys()
        .filter(|path| path.ends_with("DONE"))
        .filter_map(|path| path.parent().map(PathBuf::from))
        .collect();
    files.retain(|path, _| done.iter().any(|run| path.starts_with(run)));
    files
}

fn tables(place: &Sandbox) -> Vec<Vec<u8>> {
    let study = Run(place.path(FOLDER));
    TABLES.map(|table| study.bytes(table)).into()
}

/// Says in what the study in `place` differs from the one in peace.
fn problems(place: &Sandbox, peace: &[Vec<u8>]) -> Vec<String> {
    let mut problems = Vec::new();
    let now = tables(place);
    let pairs = TABLES.iter().zip(peace.iter().zip(&now));
    let differing = pairs.filter(|(_, (peace, now))| peace != now);
    problems.extend(differing.map(|(table, _)| format!("{table} differs from the undisturbed study's")));
    let finished = finished(place);
    let runs: Vec<&PathBuf> = finished.keys().filter(|path| path.ends_with("events.jsonl")).collect();
    if runs.len() != RUNS {
        problems.push(format!("{} runs are finished instead of {RUNS}", runs.len()));
    }
    for log in runs {
        let mut record = Record::default();
        record.follow(log);
        problems.extend(record.problems().into_iter().map(|what| format!("{}: {what}", log.display())));
    }
    problems
}
