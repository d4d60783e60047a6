//! Specs of both vocabularies, and their text forms.

use nashost_plugin_api::{architecture::Spec, component::PluginResult};
use nashost_tinynas::file;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{plainnet, structure::Structure};

/// A structure in the words of ZenNAS or of TinyNAS. They cannot be mixed: blocks of the same
/// kind differ in units per layer, shortcuts and normalisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Chain {
    /// Blocks with the key `block`.
    Zennas(Structure),
    /// Blocks with the key `class`.
    Tinynas(nashost_tinynas::Structure),
}

impl Chain {
    /// Writes the structure as a spec.
    pub fn to_spec(&self) -> Spec {
        match self {
            Self::Zennas(structure) => structure.to_spec(),
            Self::Tinynas(structure) => structure.to_value(),
        }
    }

    /// Reads the text of a spec.
    ///
    /// # Errors
    ///
    /// Fails if the text is no structure.
    pub fn from_json(text: &str) -> PluginResult<Self> {
        if text.contains(TINYNAS_KEY) {
            return Self::try_from(&serde_json::from_str::<Spec>(text)?);
        }
        Ok(Self::Zennas(Structure::from_json(text)?))
    }

    /// Writes the structure as the text of a spec.
    pub fn to_json(&self) -> String {
        match self {
            Self::Zennas(structure) => structure.to_json(),
            Self::Tinynas(structure) => structure.to_value().to_string(),
        }
    }
}

/// The key that blocks of TinyNAS have, and those of ZenNAS have not.
const TINYNAS_KEY: &str = "\"class\"";

impl TryFrom<&Spec> for Chain {
    type Error = nashost_plugin_api::component::PluginError;

    fn try_from(spec: &Spec) -> PluginResult<Self> {
        let tinynas = spec.get(0).is_some_and(|block| block.get("class").is_some());
        Ok(if tinynas { Self::Tinynas(spec.try_into()?) } else { Self::Zennas(spec.try_into()?) })
    }
}

/// A published text form of structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line of ZenNAS super-blocks.
    PlainNet,
    /// TinyNAS's `best_structure.txt`.
    Tinynas,
    /// TinyNAS's `best_structure.json`.
    TinynasJson,
}

impl Format {
    const ALL: [(&str, Self); 3] =
        [("plainnet", Self::PlainNet), ("tinynas", Self::Tinynas), ("tinynas-json", Self::TinynasJson)];

    /// Finds the format of this name.
    pub(crate) fn find(name: &str) -> PluginResult<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        found.ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| format!("`{name}`"));
            format!("unknown structure format `{name}`, this space has {}", names.join(", ")).into()
        })
    }

    /// Reads a structure, the first of a file with several.
    pub(crate) fn read(self, text: &str) -> PluginResult<Chain> {
        Ok(match self {
            Self::PlainNet => Chain::Zennas(plainnet::parse(text)?),
            Self::Tinynas | Self::TinynasJson => Chain::Tinynas(
                file::read(text)?.into_iter().next().expect("a file without structures is refused"),
            ),
        })
    }

    /// Writes a structure.
    pub(crate) fn write(self, chain: &Chain) -> PluginResult<String> {
        match (self, chain) {
            (Self::PlainNet, Chain::Zennas(structure)) => Ok(structure.to_string()),
            (Self::Tinynas, Chain::Tinynas(structure)) => {
                Ok(file::write(std::slice::from_ref(structure), file::Format::Python))
            }
            (Self::TinynasJson, Chain::Tinynas(structure)) => {
                Ok(file::write(std::slice::from_ref(structure), file::Format::Json))
            }
            (_, Chain::Zennas(_)) => Err("a ZenNAS structure can be written as `plainnet` only".into()),
            (_, Chain::Tinynas(_)) => {
                Err("a TinyNAS structure can be written as `tinynas` or `tinynas-json` only".into())
            }
        }
    }
}
