//! What must be the same for a run to be the same, and what may change with the user's leave.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Host, Prepared, identities};
use crate::{
    config::{Config, dotted, flatten, inline},
    error::{Error, Exit, Result},
    run::provenance::RunLock,
};

/// Keys that decide no result: how much may be used, and where.
const FREE: [&str; 15] = [
    "/run/jobs",
    "/run/out",
    "/run/cache",
    "/run/cache_dir",
    "/run/attempts",
    "/run/stall",
    "/run/halve_on_oom",
    "/run/worker_memory",
    "/run/sandbox",
    "/run/sandbox_read",
    "/run/max_time",
    "/run/max_trials",
    "/run/max_gpu_hours",
    "/run/max_disk",
    "/run/keep_checkpoints",
];

/// What a run rests on, as this process finds it.
pub(super) struct Identity(RunLock);

impl Identity {
    pub(super) fn of(config: &str, host: &Host<'_>, prepared: &Prepared) -> Self {
        Self(RunLock {
            nashost: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: host.libtorch.clone(),
            config_sha256: Sha256::digest(config).iter().map(|byte| format!("{byte:02x}")).collect(),
            data_fingerprint: prepared.store.fingerprint.clone(),
            split_hash: prepared.store.split_hash.clone(),
            plugin: identities(host.registry),
        })
    }

    pub(super) fn lock(&self) -> &RunLock {
        &self.0
    }

    pub(super) fn into_lock(self) -> RunLock {
        self.0
    }

    /// Names what is not as it was: `key: old → new`. The configuration is compared by its keys
    /// elsewhere.
    pub(super) fn differences(&self, before: &RunLock) -> Vec<String> {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let mut differences = Vec::new();
        let mut compare = |key: &str, old: &str, new: &str| {
            if old != new {
                differences.push(format!("{key}: {} → {}", short(old), short(new)));
            }
        };
        compare("nashost", &before.nashost, &self.0.nashost);
        compare("libtorch", &before.libtorch, &self.0.libtorch);
        compare("data", &before.data_fingerprint, &self.0.data_fingerprint);
        compare("split", &before.split_hash, &self.0.split_hash);
        for old in &before.plugin {
            if let Some(new) = self.0.plugin.iter().find(|new| new.id == old.id) {
                compare(&format!("plugin.{}", old.id), &old.sha256, &new.sha256);
            }
        }
        differences
    }
}

/// Names the keys in which two configurations differ and that decide results: `key: old → new`.
pub(crate) fn config_differences(before: &Config, after: &Config) -> Vec<String> {
    let leaves = |config: &Config| -> BTreeMap<String, Value> {
        flatten(&serde_json::to_value(config).unwrap_or_default()).into_iter().collect()
    };
    let (before, after) = (leaves(before), leaves(after));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "not given".to_owned(), inline);
    keys.into_iter()
        .filter(|key| !is_free(key) && before.get(*key) != after.get(*key))
        .map(|key| format!("{}: {} → {}", dotted(key), shown(before.get(key)), shown(after.get(key))))
        .collect()
}

/// Whether a key decides no result. Which plugins are trusted does not, either: those that were used are recorded.
fn is_free(key: &str) -> bool {
    FREE.contains(&key) || key.starts_with("/plugins/")
}

/// Keys that the user allows to differ.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed(pub(crate) Vec<String>);

impl Allowed {
    /// Refuses changes that are not allowed, all at once.
    ///
    /// # Errors
    ///
    /// Fails with the differences (E0805).
    pub(super) fn check(&self, changes: &[String]) -> Result<()> {
        let key = |change: &str| change.split(':').next().unwrap_or_default().to_owned();
        let covers = |allowed: &str, key: &str| {
            key == allowed || key.strip_prefix(allowed).is_some_and(|rest| rest.starts_with('.'))
        };
        let refused: Vec<&String> =
            changes.iter().filter(|change| !self.0.iter().any(|a| covers(a, &key(change)))).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let flags: Vec<String> = refused.iter().map(|c| format!("--allow-change {}", key(c))).collect();
        let list: Vec<String> = refused.iter().map(|change| format!("\n  {change}")).collect();
        let message = format!("the run is not what it was:{}", list.concat());
        Err(Error::new(Exit::Identity, "E0805", message)
            .help(format!("restore it, or go on with a mixed record: {}", flags.join(" "))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(extra: Value) -> Config {
        let mut config = json!({"arch": {"plugin": "resnet50", "depth": 18}});
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn differences_are_named_with_both_values_and_free_keys_are_none() {
        let before = config(json!({}));
        let after = config(json!({
            "train": {"lr": 0.5},
            "run": {"jobs": 7, "max_time": "2h", "deterministic": true},
        }));
        let differences = config_differences(&before, &after);
        assert_eq!(differences, ["run.deterministic: false → true", "train.lr: 0.001 → 0.5"]);
        assert!(config_differences(&after, &after).is_empty());
        let other = config(json!({"arch": {"plugin": "resnet50"}}));
        assert_eq!(config_differences(&before, &other), ["arch.depth: 18 → not given"]);
    }

    #[test]
    fn only_what_is_allowed_may_change() {
        let changes = ["train.lr: 0.001 → 0.5", "plugin.zennas: aa → bb", "data: cc → dd"].map(str::to_owned);
        let error = Allowed(vec!["train".to_owned()]).check(&changes).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0805", Exit::Identity));
        assert!(!error.message.contains("train.lr") && error.message.contains("plugin.zennas: aa → bb"));
        assert!(error.help.unwrap().contains("--allow-change plugin.zennas --allow-change data"));
        let all = ["train.lr", "plugin.zennas", "data"].map(str::to_owned).to_vec();
        Allowed(all).check(&changes).unwrap();
        assert!(Allowed(vec!["trai".to_owned()]).check(&changes[..1]).is_err());
        Allowed::default().check(&[]).unwrap();
    }
}
