//! The plugins of this process and their components.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use nashost_plugin_api::{
    abi::foreign::{
        CallError, ForeignArchitecture, ForeignArchitectureMetric, ForeignDataset, ForeignPredictionMetric,
        ForeignStrategy, Instance, Plugin, maps,
    },
    component::{ComponentInfo, Kind},
    manifest::Manifest,
};
use nashost_trust::PluginFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Found, SearchPath, Status, discover::discover, load, manifest, services::Services, trust::Trust,
};
use crate::{
    config::{Catalogue, suggest},
    error::{Error, Exit, Result},
};

/// A loaded plugin.
struct Loaded {
    plugin: Plugin,
    components: Vec<ComponentInfo>,
    used: UsedPlugin,
}

/// A plugin that this process loaded, for the run's lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedPlugin {
    /// Plugin id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, hex.
    pub sha256: String,
    /// Its ABI major.
    pub abi_major: u32,
    /// Ids of its components.
    pub components: Vec<String>,
    /// The file.
    pub path: PathBuf,
}

/// Finds components by kind and id, and loads their plugins when they are wanted.
pub struct Registry {
    places: Vec<PathBuf>,
    found: Vec<Found>,
    trust: Trust,
    libtorch_abi: Option<u64>,
    refusal: Option<fn() -> Error>,
    loaded: Mutex<BTreeMap<String, Loaded>>,
}

impl Registry {
    /// Looks at every plugin on the search path; loads none, and never one that `trust` objects to.
    /// `libtorch_abi` is the word of the libtorch in this process.
    pub fn new(path: &SearchPath, trust: Trust, libtorch_abi: Option<u64>) -> Self {
        Self {
            places: path.places.clone(),
            found: discover(path, &trust),
            trust,
            libtorch_abi,
            refusal: None,
            loaded: Mutex::default(),
        }
    }

    /// Refuses to load anything, with this error. Plugins can still be looked at.
    pub(crate) fn loading_nothing(self, refusal: fn() -> Error) -> Self {
        Self { refusal: Some(refusal), ..self }
    }

    /// Fails if nothing may be loaded here.
    ///
    /// # Errors
    ///
    /// Fails with the error of [`Registry::loading_nothing`].
    pub(crate) fn may_load(&self) -> Result<()> {
        self.refusal.map_or(Ok(()), |refusal| Err(refusal()))
    }

    /// Files and folders that plugins are looked for in, in their order.
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    /// What plugin files must fulfil.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Every plugin file, usable or not.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    fn usable(&self) -> impl Iterator<Item = (&Found, &Manifest)> {
        self.found
            .iter()
            .filter(|found| found.status == Status::Ok)
            .filter_map(|found| Some((found, found.manifest.as_ref()?)))
    }

    /// Returns the manifest of the usable plugin `id`.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there is none.
    pub fn manifest(&self, id: &str) -> Result<&Manifest> {
        self.usable()
            .find(|(_, manifest)| manifest.plugin.id == id)
            .map(|(_, manifest)| manifest)
            .ok_or_else(|| self.missing("plugin", id, self.usable().map(|(_, m)| m.plugin.id.clone())))
    }

    /// Lists the ids of all components of a kind.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        let mut ids: Vec<String> = self
            .usable()
            .flat_map(|(_, manifest)| manifest.plugin.components.get(&kind).into_iter().flatten().cloned())
            .collect();
        ids.sort();
        ids
    }

    fn home(&self, kind: Kind, id: &str) -> Result<(&Found, &Manifest)> {
        let homes: Vec<_> = self
            .usable()
            .filter(|(_, m)| m.plugin.components.get(&kind).is_some_and(|ids| ids.iter().any(|i| i == id)))
            .collect();
        match homes[..] {
            [] => Err(self.missing(kind_name(kind), id, self.ids(kind))),
            [home] => Ok(home),
            [(first, _), (second, _), ..] => Err(Error::new(
                Exit::Plugin,
                "E0405",
                format!(
                    "two plugins bring the {} `{id}`: {} and {}",
                    kind_name(kind),
                    first.path.display(),
                    second.path.display()
                ),
            )
            .help("remove one of the files from the plugin path")),
        }
    }

    fn missing(&self, what: &str, id: &str, known: impl IntoIterator<Item = String>) -> Error {
        let mut message = format!("no {what} `{id}`");
        let brings = |found: &&Found| {
            let manifest = found.manifest.iter();
            found.id() == id || manifest.flat_map(|m| m.plugin.components.values().flatten()).any(|c| c == id)
        };
        for refused in self.found.iter().filter(brings) {
            let (Status::Incompatible(why) | Status::Untrusted(why) | Status::Broken(why)) = &refused.status
            else {
                continue;
            };
            message += &format!(" that can be used: {}: {why}", refused.path.display());
            break;
        }
        let known: Vec<String> = known.into_iter().collect();
        let nearest = suggest::nearest(id, known.iter().map(String::as_str));
        let places: Vec<_> = self.places.iter().map(|place| place.display().to_string()).collect();
        let help = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => format!("no plugin was found in {}", places.join(", ")),
            None => format!("there are {}; searched {}", known.join(", "), places.join(", ")),
        };
        Error::new(Exit::Plugin, "E0401", message).help(help)
    }

    /// Describes a component; loads its plugin.
    ///
    /// # Errors
    ///
    /// Fails if there is no such component or its plugin is refused.
    pub fn info(&self, kind: Kind, id: &str) -> Result<ComponentInfo> {
        self.with_plugin(kind, id, |loaded| {
            let info = loaded.components.iter().find(|info| info.kind == kind && info.id == id);
            info.cloned().ok_or_else(|| mismatch(&loaded.used))
        })
    }

    fn with_plugin<T>(&self, kind: Kind, id: &str, f: impl FnOnce(&Loaded) -> Result<T>) -> Result<T> {
        let (found, manifest) = self.home(kind, id)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &manifest.plugin.id;
        if !loaded.contains_key(name) {
            loaded.insert(name.clone(), self.load(found, manifest)?);
        }
        f(&loaded[name])
    }

    fn load(&self, found: &Found, manifest: &Manifest) -> Result<Loaded> {
        self.may_load()?;
        let refused = |code, why: &dyn std::fmt::Display| {
            Error::new(Exit::Plugin, code, format!("plugin {}: {why}", found.path.display()))
        };
        let unreadable = |e: std::io::Error| refused("E0416", &format!("cannot be read: {e}"));
        let replaced = || {
            refused("E0409", &"it was replaced while it was being loaded")
                .help("try again when its build has finished")
        };
        // From here on everything is about this open file, whatever has its name by now.
        let file = PluginFile::open(&found.path).map_err(unreadable)?;
        if manifest::parse(file.bytes()).ok().as_ref() != Some(manifest) {
            return Err(replaced());
        }
        if let Some(objection) = self.trust.judge(&file, manifest).objection {
            return Err(refused("E0425", &objection));
        }
        let sha256 = file.sha256();
        let (plugin, is_unchanged) = load::map(file, self.libtorch_abi)?;
        if !is_unchanged {
            return Err(replaced());
        }
        let copies = maps::files_named("libtorch_cpu.so");
        if copies.len() > 1 {
            let list: Vec<_> = copies.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::new(
                Exit::Plugin,
                "E0417",
                format!("plugin {} brought a second libtorch: {}", found.path.display(), list.join(" and ")),
            )
            .help("link the plugin without an rpath to its own libtorch; it must use the host's"));
        }
        let name = &manifest.plugin.id;
        plugin.init(name, Services::new(name))?;
        let components = plugin.components(name)?;
        let used = UsedPlugin {
            id: name.clone(),
            version: manifest.version.clone(),
            sha256,
            abi_major: manifest.abi_major,
            components: components.iter().map(|info| info.id.clone()).collect(),
            path: found.path.clone(),
        };
        if ids_by_kind(&components) != manifest.plugin.components {
            return Err(mismatch(&used));
        }
        tracing::debug!(plugin = name, path = %found.path.display(), "plugin loaded");
        Ok(Loaded { plugin, components, used })
    }

    fn create<T>(
        &self,
        kind: Kind,
        id: &str,
        config: &Value,
        wrap: impl FnOnce(Instance) -> std::result::Result<T, CallError>,
    ) -> Result<T> {
        let config = if config.is_null() { "{}".to_owned() } else { config.to_string() };
        self.with_plugin(kind, id, |loaded| Ok(wrap(loaded.plugin.create(id, &config)?)?))
    }

    /// Creates a strategy.
    ///
    /// # Errors
    ///
    /// Fails if there is none of this id, its plugin is refused, or it rejects the configuration.
    pub fn strategy(&self, id: &str, config: &Value) -> Result<ForeignStrategy> {
        self.create(Kind::Strategy, id, config, ForeignStrategy::new)
    }

    /// Creates an architecture.
    ///
    /// # Errors
    ///
    /// As [`Registry::strategy`].
    pub fn architecture(&self, id: &str, config: &Value) -> Result<ForeignArchitecture> {
        self.create(Kind::Architecture, id, config, ForeignArchitecture::new)
    }

    /// Creates a dataset.
    ///
    /// # Errors
    ///
    /// As [`Registry::strategy`].
    pub fn dataset(&self, id: &str, config: &Value) -> Result<ForeignDataset> {
        self.create(Kind::Dataset, id, config, ForeignDataset::new)
    }

    /// Creates a metric of predictions.
    ///
    /// # Errors
    ///
    /// As [`Registry::strategy`].
    pub fn prediction_metric(&self, id: &str, config: &Value) -> Result<ForeignPredictionMetric> {
        self.create(Kind::PredictionMetric, id, config, ForeignPredictionMetric::new)
    }

    /// Creates a metric of structures.
    ///
    /// # Errors
    ///
    /// As [`Registry::strategy`].
    pub fn architecture_metric(&self, id: &str, config: &Value) -> Result<ForeignArchitectureMetric> {
        self.create(Kind::ArchitectureMetric, id, config, ForeignArchitectureMetric::new)
    }

    /// Returns the version of the plugin that brings a component; loads nothing.
    ///
    /// # Errors
    ///
    /// Fails if there is no such component.
    pub fn version(&self, kind: Kind, id: &str) -> Result<String> {
        Ok(self.home(kind, id)?.1.version.clone())
    }

    /// Returns the SHA-256 of the file of the plugin that brings a component; loads the plugin, so that it is that
    /// of the code that runs.
    ///
    /// # Errors
    ///
    /// Fails if there is no such component or its plugin is refused.
    pub fn sha256(&self, kind: Kind, id: &str) -> Result<String> {
        self.with_plugin(kind, id, |loaded| Ok(loaded.used.sha256.clone()))
    }

    /// Lists the plugins that were loaded so far, by id.
    pub fn used(&self) -> Vec<UsedPlugin> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.values().map(|l| l.used.clone()).collect()
    }
}

fn ids_by_kind(components: &[ComponentInfo]) -> BTreeMap<Kind, Vec<String>> {
    let mut map: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for info in components {
        map.entry(info.kind).or_default().push(info.id.clone());
    }
    map.values_mut().for_each(|ids| ids.sort());
    map
}

fn mismatch(plugin: &UsedPlugin) -> Error {
    Error::new(
        Exit::Plugin,
        "E0418",
        format!("plugin {} registers other components than its manifest lists", plugin.path.display()),
    )
    .help("make `components` in its manifest.json (sorted by id) agree with its `register!` lines")
}

/// Name of a kind in messages.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Strategy => "strategy",
        Kind::Architecture => "architecture",
        Kind::Dataset => "dataset",
        Kind::PredictionMetric => "prediction metric",
        Kind::ArchitectureMetric => "architecture metric",
    }
}

impl Catalogue for Registry {
    fn recipe(&self, plugin: &str) -> Result<Value> {
        self.manifest(plugin)?.plugin.recipe.clone().ok_or_else(|| {
            Error::new(
                Exit::Usage,
                "E0402",
                format!("plugin `{plugin}` has no recipe, so it cannot run alone"),
            )
            .help("name its components in a configuration file, or with `--set arch.plugin=…` and the like")
        })
    }

    fn schema(&self, kind: Kind, component: &str) -> Result<Value> {
        Ok(self.info(kind, component)?.config_schema)
    }
}
