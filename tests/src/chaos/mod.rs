//! Runs that are killed and starved again and again, and what must be true of them in the end.
//!
//! [`Chaos::unleash`] makes one run in peace. Then it makes the same run again while it kills the driver
//! and its workers, and makes files fail (see the library `fault-injection`), and takes the run up after
//! each blow until it is done. Rounds follow until enough processes were killed. After each blow
//! nothing that was recorded may be gone; after each round everything must be as in peace.
//! [`unleash_on_study`] does the same to a study.

mod faults;
mod record;
mod result;
mod round;
mod strike;
mod study;
mod tally;

use std::{fs, path::PathBuf, time::Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

pub use self::{faults::FAULTS, study::unleash as unleash_on_study, tally::Tally};
use self::{result::Peace, round::Round};
use crate::{Sandbox, Set};

/// Problems after which there is no point in going on.
const ENOUGH: usize = 10;

/// What to do to a run.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Arguments of `nashost` that make the run, with images of a [`Set`] in `set` if they like. It must
    /// come out the same each time.
    pub line: String,
    /// Processes to kill, drivers and workers together.
    pub kills: u32,
    /// Where moments, victims and faults follow from. What a blow meets depends on the machine, too.
    pub seed: u64,
    /// Whether files fail.
    pub faults: bool,
    /// Where to work, and to leave the folders of rounds that went wrong; a temporary folder, and
    /// nothing, if there is none.
    pub keep: Option<PathBuf>,
}

impl Chaos {
    /// A search and trainings of two structures with two seeds, two processes side by side, on few
    /// images: nearly all of its time goes into starting processes and writing files.
    pub const RUN: &str = "run --plugin zennas --dataset csv-images -s data.root=set \
                           -s search.evaluations=60 -s search.rescore=2 -s search.population=11 \
                           -s search.top=2 --seeds 1..2 -s train.resolution=16 -s train.epochs=10 \
                           -s eval.bootstrap=20 -s run.attempts=1000000 --device cpu -j 2";

    /// Makes the run in peace and then in chaos; `say` hears of each round.
    ///
    /// # Panics
    ///
    /// Panics if the run in peace fails, or the folder cannot be used.
    pub fn unleash(&self, say: &mut dyn FnMut(&str)) -> Tally {
        let began = Instant::now();
        let sandbox = self.sandbox();
        let peace = Peace::of(&sandbox.run(&self.line));
        let pace = began.elapsed();
        say(&format!("in peace the run takes {:.1} s", pace.as_secs_f64()));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut tally = Tally::default();
        while tally.kills() < self.kills && tally.problems.len() < ENOUGH {
            let place = self.sandbox();
            let before = tally.problems.len();
            let mut round = Round::new(self, &place, pace, &mut random, &mut tally);
            if round.fight() {
                let problems = peace.compare(&place, &self.line);
                tally.problems.extend(problems);
            }
            tally.rounds += 1;
            say(&format!("round {}: {}", tally.rounds, tally.line()));
            tally.problems[before..].iter().for_each(|problem| say(problem));
            if tally.problems.len() > before && self.keep.is_some() {
                let kept = place.keep();
                tally.problems.push(format!("the folder is {}", kept.display()));
            }
        }
        tally.seconds = began.elapsed().as_secs_f64();
        tally
    }

    fn sandbox(&self) -> Sandbox {
        let sandbox = match &self.keep {
            None => Sandbox::default(),
            Some(folder) => {
                fs::create_dir_all(folder).expect("the folder to keep is writable");
                Sandbox::below(folder)
            }
        };
        Set::write(sandbox.path("set"));
        sandbox
    }
}
