//! What JSON Schema cannot say of a configuration.

use serde_json::Value;

use super::{Config, origin::Origins, sections::Seeds};
use crate::error::{Error, Exit};

/// How far from 1 the sum of the shares may be, for rounding in decimal notation.
const SUM_TOLERANCE: f64 = 1e-9;

/// Returns what is wrong with values that are text with a meaning of its own.
pub(super) fn texts(values: &Value, origins: &Origins) -> Option<Error> {
    let why = Seeds::parse(values.pointer("/run/seeds")?.as_str()?).err()?;
    let message = format!("{}: `run.seeds`: {why}", origins.of("/run/seeds"));
    Some(Error::new(Exit::Usage, "E0204", message).help("write a list, or a range like \"1..5\""))
}

/// Returns all problems of a configuration whose values are valid one by one.
pub(super) fn problems(config: &Config, origins: &Origins) -> Vec<Error> {
    let mut problems = Vec::new();
    let mut problem = |pointer: &str, code, message: String, help: &str| {
        let message = format!("{}: {message}", origins.of(pointer));
        problems.push(Error::new(Exit::Usage, code, message).help(help));
    };
    if let Some(text) = &config.nashost {
        let host = env!("CARGO_PKG_VERSION");
        match semver::VersionReq::parse(text) {
            Err(cause) => {
                problem(
                    "/nashost",
                    "E0204",
                    format!("`nashost = \"{text}\"`: {cause}"),
                    "write it like \">=0.1\"",
                );
            }
            Ok(wanted) if !semver::Version::parse(host).is_ok_and(|host| wanted.matches(&host)) => {
                let message = format!("the configuration is for nashost {text}, this is {host}");
                problem("/nashost", "E0208", message, "install that version, or change the key `nashost`");
            }
            Ok(_) => {}
        }
    }
    let [train, val, test] = config.split.fractions;
    if (train + val + test - 1.0).abs() > SUM_TOLERANCE || train == 0.0 || val == 0.0 || test == 0.0 {
        let message =
            format!("`split.fractions = [{train}, {val}, {test}]` are not three shares whose sum is 1");
        problem(
            "/split/fractions",
            "E0204",
            message,
            "write shares of training, validation and test: [0.8, 0.1, 0.1]",
        );
    }
    let mut seeds = config.run.seeds.0.clone();
    seeds.sort_unstable();
    if let Some(twice) = seeds.windows(2).find(|pair| pair[0] == pair[1]) {
        problem("/run/seeds", "E0204", format!("`run.seeds` has {} twice", twice[0]), "name each seed once");
    }
    problems
}
