//! The sections of a run configuration.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use nashost_plugin_api::component::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{
    train::{EvalConfig, TrainConfig},
    units::{Size, Span},
};
use crate::{
    error::{Error, Exit, Result},
    run::trial::ComponentRef,
};

/// Everything that decides what a run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Versions of nashost that this configuration is for, such as `">=0.1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nashost: Option<String>,
    /// Name of the run in its folder and in tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub name: Option<String>,
    /// Name of the method in tables, which tells runs of one plugin with different settings apart; the strategy, or
    /// the architecture where nothing is searched, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub method: Option<String>,
    /// The images and labels.
    #[serde(default = "phantom")]
    pub data: ComponentConfig,
    /// Which images are for training, validation and test.
    #[serde(default)]
    pub split: SplitConfig,
    /// The architecture, or the space that is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ComponentConfig>,
    /// The search; without it the architecture is trained as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchConfig>,
    /// What the search scores structures with; the strategy's own choice if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ComponentConfig>,
    /// How networks are trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// How trained networks are evaluated.
    #[serde(default)]
    pub eval: EvalConfig,
    /// Seeds, device and folders.
    #[serde(default)]
    pub run: RunConfig,
    /// Which plugins are trusted.
    #[serde(default, skip_serializing_if = "PluginsConfig::is_empty")]
    pub plugins: PluginsConfig,
}

/// Which plugins are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Refuses plugins that no listed key has signed. No later file or flag takes it back.
    pub require_signed: bool,
    /// Public keys of minisign by a name for each. If your own file lists any, no others count.
    pub keys: BTreeMap<String, String>,
}

impl PluginsConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// Returns the architecture.
    ///
    /// # Errors
    ///
    /// Fails if the configuration names none (E0206).
    pub fn architecture(&self) -> Result<&ComponentConfig> {
        self.arch.as_ref().ok_or_else(|| {
            Error::new(Exit::Usage, "E0206", "no architecture is given")
                .help("name a plugin (`--plugin zennas`), an architecture (`--arch resnet50`), or set `arch.plugin`")
        })
    }

    /// Writes the configuration as a file that leads to the same configuration again.
    ///
    /// # Errors
    ///
    /// Fails if a setting of a component has no TOML form, such as an integer above 2⁶³ (E0204).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|cause| Error::new(Exit::Usage, "E0204", format!("cannot write as TOML: {cause}")))
    }

    /// Returns the resolution that structures are scored and counted at.
    pub fn search_resolution(&self) -> usize {
        self.search.as_ref().and_then(|search| search.resolution).unwrap_or(self.train.resolution)
    }
}

/// A component and its own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentConfig {
    /// Id of the component; `nashost plugin list` shows all.
    pub plugin: String,
    /// Settings of the component; `nashost plugin schema` shows them.
    #[serde(flatten)]
    pub config: Map<String, Value>,
}

impl From<&ComponentConfig> for ComponentRef {
    fn from(component: &ComponentConfig) -> Self {
        Self { id: component.plugin.clone(), config: Value::Object(component.config.clone()) }
    }
}

/// The dataset that needs no files.
pub(super) fn phantom() -> ComponentConfig {
    ComponentConfig { plugin: "phantom".to_owned(), config: Map::new() }
}

/// The strategy, its own settings, and what the host does around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchConfig {
    /// Id of the strategy; `nashost plugin list` shows all.
    pub plugin: String,
    /// Limits that every proposed structure must keep.
    #[serde(default)]
    pub budget: Vec<Budget>,
    /// How many of the best structures are trained.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub top: usize,
    /// Resolution that structures are scored and counted at; `train.resolution` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub resolution: Option<usize>,
    /// Settings of the strategy; `nashost plugin schema` shows them.
    #[serde(flatten)]
    pub config: Map<String, Value>,
}

fn one() -> usize {
    1
}

impl From<&SearchConfig> for ComponentRef {
    fn from(search: &SearchConfig) -> Self {
        Self { id: search.plugin.clone(), config: Value::Object(search.config.clone()) }
    }
}

/// A limit on structures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What is limited: `params`, `macs`, `layers`, a counter of the architecture, or an architecture
    /// metric such as `latency`.
    pub kind: String,
    /// The largest value that is allowed.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max: f64,
}

/// Which images are for training, validation and test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// File with a stored split (`nashost data split` writes one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Takes the split that the dataset brings, if it brings one.
    pub use_given: bool,
    /// Shares of training, validation and test otherwise; their sum is 1.
    #[schemars(inner(range(min = 0, max = 1)))]
    pub fractions: [f64; 3],
    /// Seed of the split. Apart from `run.seed`, so that runs with other seeds see the same split.
    #[schemars(extend("maximum" = i64::MAX))]
    pub seed: u64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { file: None, use_given: true, fractions: [0.8, 0.1, 0.1], seed: 1 }
    }
}

/// Seeds, device and folders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Master seed of the search; everything random derives its own seed.
    #[schemars(extend("maximum" = i64::MAX))]
    pub seed: u64,
    /// Seeds that networks are trained with, one training each; a list or a range with both ends
    /// (`"1..5"`). `run.seed` alone if left out.
    pub seeds: Seeds,
    /// Where tensors live: `auto`, `cpu`, `cuda` or `cuda:N`.
    #[schemars(regex(pattern = r"^(auto|cpu|cuda(:[0-9]+)?)$"))]
    pub device: String,
    /// Structures that are scored side by side, and networks that are trained side by side, each in a
    /// process of its own that gets its share of the CPU threads. 0 scores with all CPU threads, and
    /// trains one network per GPU or one after another on the CPU. Searches do not depend on it.
    pub jobs: usize,
    /// CPU threads of one training, which decide the last bits of its result on a CPU. 0 shares all CPU
    /// threads among the trainings that go on side by side.
    pub threads: usize,
    /// Refuses operations of libtorch that may answer differently each time.
    pub deterministic: bool,
    /// How often a trial whose process crashed, hung or ran out of memory is tried without getting
    /// further than before.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// How long a training or a search may make no progress before its process is ended.
    pub stall: Span,
    /// After out-of-memory, tries again with each batch in two parts whose gradients are added up.
    pub halve_on_oom: bool,
    /// Memory that one worker process may allocate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_memory: Option<Size>,
    /// Runs plugins without network, with a read-only file system outside the run's folder and with limited
    /// memory. No later file or flag takes it back.
    pub sandbox: bool,
    /// Further files and folders that plugins in the sandbox may read; those that the configuration names are
    /// readable already.
    pub sandbox_read: Vec<PathBuf>,
    /// Time that the run may take, all its sessions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_time: Option<Span>,
    /// Most trials that are trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_trials: Option<u32>,
    /// Hours of GPU time that trainings may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_gpu_hours: Option<f64>,
    /// Disk space that the run's folder may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_disk: Option<Size>,
    /// Keeps checkpoints of the best trials only, as many as this, by macro F1 on the validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_checkpoints: Option<usize>,
    /// Folder that run folders are made in.
    pub out: PathBuf,
    /// Keeps decoded images on disk for later runs.
    pub cache: bool,
    /// Folder of the cache; `$XDG_CACHE_HOME/nashost` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            seeds: Seeds::default(),
            device: "auto".to_owned(),
            jobs: 0,
            threads: 0,
            deterministic: false,
            attempts: 3,
            stall: Span::minutes(10),
            halve_on_oom: true,
            worker_memory: None,
            sandbox: false,
            sandbox_read: Vec::new(),
            max_time: None,
            max_trials: None,
            max_gpu_hours: None,
            max_disk: None,
            keep_checkpoints: None,
            out: PathBuf::from("runs"),
            cache: true,
            cache_dir: None,
        }
    }
}

impl RunConfig {
    /// Returns how many structures are scored side by side.
    pub fn search_threads(&self) -> usize {
        match self.jobs {
            0 => cpu_threads(),
            jobs => jobs,
        }
    }

    /// Returns how many networks are trained side by side on `gpus` GPUs, or on the CPU without any:
    /// never so many that their threads are more than the machine's.
    pub fn trainings(&self, gpus: usize) -> usize {
        match (self.jobs, gpus) {
            (0, gpus) => gpus.max(1),
            (jobs, 0) => jobs.min(cpu_threads() / self.threads.max(1)).max(1),
            // One process per GPU.
            (jobs, gpus) => jobs.min(gpus),
        }
    }

    /// Returns how many CPU threads one training has, of those on `gpus` GPUs or on the CPU.
    pub fn training_threads(&self, gpus: usize) -> usize {
        match self.threads {
            0 => (cpu_threads() / self.trainings(gpus)).max(1),
            threads => threads,
        }
    }

    /// Returns the folder of the cache, or `None` if nothing is to be kept. In the sandbox it is a folder that
    /// lives as long as the command: what a stranger's plugin writes is no image for later commands.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        if let Some(inside) = crate::sandbox::inside() {
            return self.cache.then(|| inside.temporary.join("cache"));
        }
        let standard = || super::xdg("XDG_CACHE_HOME", ".cache");
        self.cache.then(|| self.cache_dir.clone().or_else(standard)).flatten()
    }
}

/// Returns how many threads this process may run at once.
pub fn cpu_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Seeds of the trainings. Users write a list, one seed, or a range in text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Seeds(pub Vec<u64>);

/// How users write [`Seeds`].
#[derive(Deserialize)]
#[serde(untagged)]
enum SeedsText {
    List(Vec<u64>),
    One(u64),
    Range(String),
}

impl JsonSchema for Seeds {
    fn schema_name() -> Cow<'static, str> {
        "Seeds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let seed = json_schema!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
        json_schema!({"anyOf": [
            {"type": "array", "items": seed},
            seed,
            {"type": "string", "pattern": r"^[0-9]+(\.\.[0-9]+)?$"},
        ]})
    }
}

/// The longest range, so that a slip of the keyboard doesn't fill the memory.
const MOST_SEEDS: u64 = 10_000;

impl Seeds {
    /// Reads one seed (`7`) or a range with both ends (`1..5`).
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| {
            text.parse::<u64>()
                .ok()
                .filter(|seed| i64::try_from(*seed).is_ok())
                .ok_or(format!("`{text}` is no seed"))
        };
        match text.split_once("..") {
            None => Ok(Self(vec![number(text)?])),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last || last - first >= MOST_SEEDS {
                    return Err(format!("`{text}` is not a range of 1 to {MOST_SEEDS} seeds"));
                }
                Ok(Self((first..=last).collect()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match SeedsText::deserialize(deserializer)? {
            SeedsText::List(seeds) => Ok(Self(seeds)),
            SeedsText::One(seed) => Ok(Self(vec![seed])),
            SeedsText::Range(text) => Self::parse(&text).map_err(serde::de::Error::custom),
        }
    }
}

/// A section that names a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Key of the section.
    pub key: &'static str,
    /// Kind of its component.
    pub kind: Kind,
    /// Keys that belong to the host, not to the component; `plugin` apart.
    pub host_keys: &'static [&'static str],
    /// Whether it belongs to the method, which `--plugin` chooses.
    pub method: bool,
}

/// The sections that name components.
pub const SECTIONS: [Section; 4] = [
    Section { key: "data", kind: Kind::Dataset, host_keys: &[], method: false },
    Section { key: "arch", kind: Kind::Architecture, host_keys: &[], method: true },
    Section {
        key: "search",
        kind: Kind::Strategy,
        host_keys: &["budget", "top", "resolution"],
        method: true,
    },
    Section { key: "score", kind: Kind::ArchitectureMetric, host_keys: &[], method: true },
];
