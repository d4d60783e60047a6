//! `nashost plugin new`: the files of a new plugin.

use std::path::{Path, PathBuf};

use crate::error::{Error, Exit, Result};

/// A kind of plugin that can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NewKind {
    /// Proposes structures.
    Strategy,
    /// A search space.
    Architecture,
    /// Images and labels.
    Dataset,
    /// A metric of structures.
    Metric,
    /// A metric of predictions.
    PredictionMetric,
}

/// Where a new plugin takes `nashost-plugin-api` from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Api {
    /// A folder.
    Path(PathBuf),
    /// A git repository.
    Git(String),
    /// The registry, in the version of this host.
    Registry,
}

/// What differs between the kinds.
struct Template {
    /// Key of `components` in the manifest.
    kind: &'static str,
    summary: &'static str,
    source: &'static str,
    uses_data: bool,
    recipe: &'static str,
    /// How it is run; `{{name}}` is its name.
    run: &'static str,
}

impl NewKind {
    fn template(self) -> Template {
        match self {
            Self::Strategy => Template {
                kind: "strategy",
                summary: "Changes the best structure so far and keeps what is better.",
                source: include_str!("../../templates/strategy.rs.in"),
                uses_data: false,
                recipe: ",\n  \"recipe\": {\n    \"arch\": { \"plugin\": \"superres\" },\n    \
                         \"search\": { \"plugin\": \"{{name}}\", \"budget\": [{ \"kind\": \"params\", \"max\": 1e6 }] },\n    \
                         \"score\": { \"plugin\": \"params\", \"better\": \"higher\" }\n  }",
                run: "run --plugin {{name}}",
            },
            Self::Architecture => Template {
                kind: "architecture",
                summary: "Chains of convolutions of different widths.",
                source: include_str!("../../templates/architecture.rs.in"),
                uses_data: false,
                recipe: ",\n  \"recipe\": { \"arch\": { \"plugin\": \"{{name}}\" } }",
                run: "run --plugin {{name}}",
            },
            Self::Dataset => Template {
                kind: "dataset",
                summary: "Squares, bright or dark, large or small.",
                source: include_str!("../../templates/dataset.rs.in"),
                uses_data: true,
                recipe: "",
                run: "run --plugin zennas --dataset {{name}}",
            },
            Self::Metric => Template {
                kind: "architecture-metric",
                summary: "The depth of a network.",
                source: include_str!("../../templates/architecture-metric.rs.in"),
                uses_data: false,
                recipe: "",
                run: "run --plugin zennas -s search.score=monte-carlo -s score.plugin={{name}}",
            },
            Self::PredictionMetric => Template {
                kind: "prediction-metric",
                summary: "The share of right answers, for each label and as a mean.",
                source: include_str!("../../templates/prediction-metric.rs.in"),
                uses_data: false,
                recipe: "",
                run: "run --plugin zennas -s 'eval.metrics=[\"study\", \"{{name}}\"]'",
            },
        }
    }
}

/// Writes a new plugin into `folder`, whose last part is its name, and returns the files.
///
/// # Errors
///
/// Fails if the name is none for a plugin, the folder is there already, or it cannot be written.
pub fn scaffold(folder: &Path, kind: NewKind, api: &Api) -> Result<Vec<PathBuf>> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name)?;
    if folder.exists() {
        let message = format!("{} is there already", folder.display());
        return Err(
            Error::new(Exit::Usage, "E0432", message).help("choose another name; nothing was changed")
        );
    }
    let template = kind.template();
    let fill = |text: &str| {
        // The recipe and the command name the plugin themselves, so they are filled in first.
        text.replace("{{recipe}}", template.recipe)
            .replace("{{run}}", template.run)
            .replace("{{api}}", &dependency(api))
            .replace("{{summary}}", template.summary)
            .replace("{{kind}}", template.kind)
            .replace("{{uses_data}}", if template.uses_data { "true" } else { "false" })
            .replace("{{type}}", &type_name(name))
            .replace("{{lib}}", &name.replace('-', "_"))
            .replace("{{name}}", name)
    };
    let files = [
        ("Cargo.toml", include_str!("../../templates/Cargo.toml.in")),
        ("manifest.json", include_str!("../../templates/manifest.json.in")),
        ("README.md", include_str!("../../templates/README.md.in")),
        (".gitignore", include_str!("../../templates/gitignore.in")),
        ("src/lib.rs", template.source),
    ];
    let mut written = Vec::new();
    for (file, text) in files {
        let path = folder.join(file);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(&path, fill(text))
        };
        write().map_err(|e| {
            Error::new(Exit::Environment, "E0211", format!("{} cannot be written: {e}", path.display()))
                .help("look at the permissions of its folder and at the free space")
        })?;
        written.push(path);
    }
    Ok(written)
}

fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
    if name.chars().all(fits) && name.split('-').all(is_word) {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, "E0432", format!("`{name}` is no name for a plugin"))
        .help("take lower-case words with hyphens between them, such as `my-search`"))
}

/// `my-search` as Rust writes a type: `MySearch`.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect()
}

fn dependency(api: &Api) -> String {
    let version = nashost_plugin_api::abi::boot::SDK_VERSION;
    // Rust's escapes of such texts are TOML's.
    match api {
        Api::Path(path) => format!("{{ path = {:?} }}", path.display().to_string()),
        Api::Git(url) => format!("{{ git = {url:?} }}"),
        Api::Registry => format!("{version:?}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_kind_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        for kind in NewKind::value_variants() {
            let folder = dir.path().join(format!("my-{}", kind.template().kind));
            let files = scaffold(&folder, *kind, &Api::Path("/some where/plugin-api".into())).unwrap();
            for file in &files {
                let text = std::fs::read_to_string(file).unwrap();
                assert!(!text.contains("{{"), "{}: {text}", file.display());
            }
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            assert_eq!(manifest["components"][kind.template().kind][0], name);
            let cargo: toml::Table = read("Cargo.toml").parse().unwrap();
            assert_eq!(
                cargo["dependencies"]["nashost-plugin-api"]["path"].as_str(),
                Some("/some where/plugin-api")
            );
            assert!(read("README.md").contains(name));
        }
    }

    #[test]
    fn bad_names_and_folders_that_exist_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["My-Search", "a--b", "-a", "1a", "a_b", "ä"] {
            let error = scaffold(&dir.path().join(name), NewKind::Strategy, &Api::Registry).unwrap_err();
            assert_eq!(error.code, "E0432", "{name}");
        }
        assert_eq!(scaffold(dir.path(), NewKind::Strategy, &Api::Registry).unwrap_err().code, "E0432");
        assert_eq!(type_name("my-2nd-search").as_str(), "My2ndSearch");
    }

    #[test]
    fn the_api_comes_from_where_it_was_said() {
        assert_eq!(
            dependency(&Api::Git("https://example.org/n".into())),
            r#"{ git = "https://example.org/n" }"#
        );
        assert!(semver::Version::parse(dependency(&Api::Registry).trim_matches('"')).is_ok());
    }
}
