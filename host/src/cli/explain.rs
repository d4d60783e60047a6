//! `nashost explain`: what error codes mean.

use serde_json::json;

use super::{
    Context,
    args::Format,
    output::{Style, Table},
};
use crate::{
    config::suggest,
    error::{Error, Exit, Result},
};

/// Every code: its title, and what to know. Ordered by code; a new one is a line of its own.
#[rustfmt::skip]
const CODES: &[(&str, &str, &str)] = &[
    ("E0100", "a bug in nashost", "Something happened that should be impossible. The message names a report file with the command line, the version and a backtrace. Please send it to the authors; it holds no image and no label."),
    ("E0101", "no such command", "The first word is no command of nashost, and there is no program of that name with `nashost-` before it on PATH. `nashost help` lists the commands."),
    ("E0102", "an external command cannot be run", "`nashost foo` runs the program `nashost-foo` from PATH. It is there, but the system refuses to start it. Look at its permissions and at its first line."),
    ("E0103", "no such error code", "Error codes look like E0203. `nashost explain` without a code lists all of them."),
    ("E0201", "a configuration file cannot be read", "The file named with `--config` (or ./nashost.toml, or your own file in ~/.config/nashost) is not there, is not text, or may not be read. Paths are relative to the working directory."),
    ("E0202", "a syntax error in the configuration", "A file is not valid TOML (or JSON, if its name ends in .json), or `--set` is not KEY=VALUE. All errors of all files are reported at once. Values of `--set` are TOML; what is no TOML value is taken as text, so names and paths need no quotes."),
    ("E0203", "an unknown key", "Nothing reads this key, so it would have had no effect. The message names the nearest key. The keys of [data], [arch], [search] and [score] depend on the component that `plugin` names: `nashost plugin schema COMPONENT` shows them. If the key belongs to another component, remove it or name that component."),
    ("E0204", "a value that is not allowed", "The value has the wrong type, is out of range, or is not one of the possible words. The message says what is possible, and where the value comes from: a line of a file, a variable, `--set`, or a flag. `nashost config show --origin` shows the same for all keys."),
    ("E0205", "a missing key", "The section needs this key and no layer of the configuration gives it. In [arch], [search] and [score] it is usually `plugin`, the name of the component."),
    ("E0206", "no architecture is given", "A run needs to know which network to train or which space to search. Name a plugin with a recipe (`--plugin zennas`), or an architecture (`--arch resnet50`, or `plugin` in [arch])."),
    ("E0207", "selection on the test part", "Checkpoints, thresholds and hyper-parameters are chosen on the validation part. The test part is looked at once, at the end, for the configuration that was frozen before. Choosing on it makes the reported values too good, so no configuration can ask for it."),
    ("E0208", "the configuration is for another version", "The key `nashost` names the versions that a configuration is for, and this is none of them. Install one of them, or change the key if you know that the configuration still means what you want."),
    ("E0209", "a plugin's schema is broken", "A component publishes a JSON Schema of its settings, and this one is not valid. Its settings cannot be checked. Tell the author of the plugin."),
    ("E0210", "a file is in the way", "`nashost config init` does not overwrite files. Name another file, or say `-y`."),
    ("E0211", "a file cannot be written", "The system refused to write the file. Look at the permissions of its folder and at the free space."),
    ("E0401", "no such plugin", "No plugin of this name is in the folders that plugins are looked for in. `nashost plugin path` lists the folders, `nashost plugin list` the plugins."),
    ("E0402", "no such component", "No plugin that was found has a component of this name and kind. Sections name components, not plugins: [data] a dataset, [arch] an architecture, [search] a strategy, [score] an architecture metric. `nashost plugin list` shows the components of every plugin."),
    ("E0451", "the GPU cannot be used", "A CUDA device was asked for, and nashost never falls back to the CPU silently. Four things are needed: an NVIDIA driver, a CUDA build of libtorch, its library libtorch_cuda.so loaded, and a visible device. `nashost doctor` shows which one is missing. `--device auto` takes a GPU if there is one and the CPU otherwise, and says which."),
    ("E0452", "no such kind of device", "Devices are called `auto`, `cpu`, `cuda` (the first GPU) and `cuda:N` (GPU number N, from 0)."),
    ("E0453", "no such GPU", "The machine has GPUs, but not of this number. They count from 0. CUDA_VISIBLE_DEVICES hides GPUs and renumbers the others."),
    ("E0454", "standard output cannot be written to", "The result could not be printed, most often because output goes to a file on a full disk. A reader that stops early (`nashost runs | head`) is not an error."),
];

/// Prints what a code means, or all codes.
///
/// # Errors
///
/// Fails if there is no such code (E0103).
pub(super) fn command(code: Option<&str>, context: &Context) -> Result<Exit> {
    let Some(code) = code else {
        let mut table = Table::new(&["code", "meaning"]);
        CODES.iter().for_each(|(code, title, _)| table.row([json!(code), json!(title)]));
        context.out.table(&table)?;
        return Ok(Exit::Ok);
    };
    let Some((code, title, text)) = CODES.iter().find(|entry| entry.0.eq_ignore_ascii_case(code)) else {
        let known: Vec<&str> = CODES.iter().map(|entry| entry.0).collect();
        let error = Error::new(Exit::Usage, "E0103", format!("there is no error code `{code}`"));
        return Err(error.help(match suggest::nearest(code, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`nashost explain` lists all codes".to_owned(),
        }));
    };
    match context.out.format() {
        Format::Json => context.out.json(&json!({"code": code, "title": title, "text": text}))?,
        _ => {
            let heading = context.out.paint(Style::Strong, &format!("{code}: {title}"));
            context.out.text(&format!("{heading}\n\n{text}\n"))?;
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn codes_are_in_order_and_explained() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, title, text) in CODES {
            assert!(code.len() == 5 && code.starts_with("E0"), "{code}");
            assert!(!title.ends_with('.') && text.ends_with('.') && text.len() > 60, "{code}");
        }
    }

    /// Collects the codes in string literals of all sources.
    fn used(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                used(&path, codes);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let literals = text.split('"').filter(|part| {
                    part.len() == 5 && part.starts_with("E0") && part[1..].bytes().all(|b| b.is_ascii_digit())
                });
                codes.extend(literals.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_code_that_is_used_is_explained() {
        let mut codes = BTreeSet::new();
        used(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut codes);
        assert!(codes.len() > 10, "the search found nothing: {codes:?}");
        let explained: BTreeSet<String> = CODES.iter().map(|entry| entry.0.to_owned()).collect();
        let missing: Vec<_> = codes.difference(&explained).collect();
        assert!(missing.is_empty(), "cli/explain.rs lacks {missing:?}");
    }
}
