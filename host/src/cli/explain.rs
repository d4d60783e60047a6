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
    ("E0210", "a file is in the way", "`nashost config init`, `export` and `predict` do not overwrite files. Name another file, or say `-y`. Folders are never replaced."),
    ("E0211", "a file cannot be written", "The system refused to write the file. Look at the permissions of its folder and at the free space."),
    ("E0220", "a budget that cannot be counted", "`[[search.budget]]` names a kind that neither the host (`params`, `macs`, `layers`), nor a counter of the search space (`official.params`, …), nor an architecture metric answers. The message lists what there is."),
    ("E0221", "strategy and space do not fit", "The strategy only works with some spaces, or the architecture is a single network and not a space. Leave out `[search]` to train it as it is, or name a space such as `superres` in `[arch]`. A strategy that learns from images sees them at `train.resolution`, so `search.resolution` cannot be another."),
    ("E0222", "the architecture metric is missing, or one too many", "The strategy scores structures with a metric and has no choice of its own: set `score.plugin`. Or it learns from images and values structures itself: leave `score` out."),
    ("E0223", "a component refuses its settings", "The settings have the right form, but the component says that they make no sense together. `nashost plugin schema COMPONENT` shows what it accepts."),
    ("E0224", "no structure of the space", "A structure is a file or its text: the JSON that the space writes, a run's archs/T0001.json, or a format of a published code that the space can import. The message says why each of them failed."),
    ("E0300", "a dataset cannot be read", "The dataset says what is wrong with its index: a file that is missing, a column, a label. Every problem is listed with its file and line."),
    ("E0301", "an invalid dataset", "Duplicate ids, a wrong number of targets, no images, no labels, or a normal label together with a finding. Every problem is listed. Nothing was decoded or written."),
    ("E0302", "images that cannot be used", "Images that are missing, damaged or of an unsupported kind. Every one is listed. A run never leaves images out silently: repair the files or take them out of the index."),
    ("E0303", "no complete split", "The dataset prescribes no part for some images. Let nashost split by patient: `split.use_given = false`."),
    ("E0304", "an unusable split", "Fractions that are not three positive numbers with sum 1, a part without images, a patient in two parts, or a label that has only one class in the training part. Every problem is listed."),
    ("E0305", "a split file cannot be used", "It cannot be read, has another format, or was edited so that its SHA-256 no longer fits."),
    ("E0306", "the split file is of other data", "Its images are not those of the dataset. Every mismatch is listed. Use the split file that belongs to this dataset, or make a new one with `nashost data split`."),
    ("E0307", "a split file cannot be written", "Look at the permissions of its folder and at the free space."),
    ("E0308", "images without contrast", "All training images are of one and the same grey, so they cannot be normalised. Usually the decoder was given the wrong kind of file."),
    ("E0310", "a download failed", "The server cannot be reached, refuses, ends early, or sends more than the limit. Nothing was kept. Get the file elsewhere and give its path; its digest is what counts."),
    ("E0311", "a download has another digest", "The file is not the one that was published. Nothing was kept."),
    ("E0312", "no such download", "`nashost data fetch` knows a few public datasets by name; the message lists them."),
    ("E0313", "a download cannot be written", "The folder cannot be written, or another file of that name is there. Nothing was overwritten."),
    ("E0401", "no such plugin", "No plugin of this name is in the folders that plugins are looked for in. `nashost plugin path` lists the folders, `nashost plugin list` the plugins."),
    ("E0402", "a plugin without a recipe", "`--plugin NAME` alone means what the recipe in the manifest of the plugin says, and this plugin has none. Name its components in a configuration file or with `--set`."),
    ("E0405", "two plugins bring one component", "Two usable plugin files register a component of the same kind and name. Remove one from the plugin path."),
    ("E0408", "the plugin lock cannot be used", "nashost-plugins.lock is damaged or cannot be read. Remove it and pin the plugins again with `nashost plugin trust`."),
    ("E0409", "a plugin changed while it was loaded", "The file was replaced between hashing and mapping, most likely by a build. Try again when the build has finished."),
    ("E0411", "a file is no usable plugin", "It is no shared library, has no manifest or boot record, or these are damaged. `nashost plugin check FILE` gives every reason."),
    ("E0412", "a plugin has another ABI", "Host and plugin must have the same ABI major. Rebuild the plugin with the nashost-plugin-api of this host; the message names the version."),
    ("E0413", "a plugin needs another libtorch", "A plugin that uses tensors must be built for the libtorch of the host. Rebuild it."),
    ("E0414", "a plugin was built with panic=abort", "One panic would end the host. Build the plugin with `panic = \"unwind\"`, which is the default."),
    ("E0415", "a plugin's root module differs", "The layout check of the root module failed. Rebuild the plugin with the nashost-plugin-api of this host. `-vv` logs the whole report."),
    ("E0416", "a plugin cannot be loaded", "The dynamic linker refused the file: a library it needs is missing, or it is damaged. The message has the linker's words."),
    ("E0417", "a second libtorch", "A plugin brought its own copy of libtorch, which would crash sooner or later. Link the plugin without an rpath to libtorch: it must use the host's."),
    ("E0418", "manifest and plugin disagree", "The plugin registers other components than `components` in its manifest.json lists."),
    ("E0419", "a plugin crashes on load", "The plugin was tried in a process of its own, which was killed by a signal or did not answer. Nothing else was harmed."),
    ("E0421", "a plugin panicked", "A function of the plugin panicked. The panic was contained, the instance answers no more, and the run goes on where it can. Report it to the plugin's author with the log."),
    ("E0422", "a plugin breaks the contract", "It answered something that the contract does not allow, such as too many proposals or malformed JSON."),
    ("E0423", "a plugin reports an error", "The message has the plugin's own words and the causes behind them."),
    ("E0424", "a plugin stopped on request", "The run was being stopped, and the plugin with it."),
    ("E0425", "a plugin is not trusted", "When it was about to be loaded, the file did not fulfil what is asked of plugins: nobody but its owner may write it and the folders on the way to it, `--locked` wants it pinned, and signatures must be right. The message says which. See docs/trust.md."),
    ("E0426", "keys for signatures cannot be used", "A value under `plugins.keys` is no public key of minisign, or signatures are required and no key is listed. The key is the second line of the .pub file that `minisign -G` makes."),
    ("E0430", "a test process cannot work", "`nashost plugin test` tries each component in a process of its own. The system refused to start one, or to write the files by which it answers. The message has the system's words."),
    ("E0431", "a plugin breaks the contract's rules", "`nashost plugin test` tried the rules of the contract, and the plugin broke some. Each is listed with what was found and what it demands. docs/plugin-author.md explains the rules; the unit tests that `nashost plugin new` writes try most of them in seconds."),
    ("E0432", "a plugin cannot be begun", "`nashost plugin new` needs a name of lower-case words with hyphens between them, a folder that is not there yet, and with `--api-path` the folder of nashost-plugin-api. Nothing was changed."),
    ("E0451", "the GPU cannot be used", "A CUDA device was asked for, and nashost never falls back to the CPU silently. Four things are needed: an NVIDIA driver, a CUDA build of libtorch, its library libtorch_cuda.so loaded, and a visible device. `nashost doctor` shows which one is missing. `--device auto` takes a GPU if there is one and the CPU otherwise, and says which."),
    ("E0452", "no such kind of device", "Devices are called `auto`, `cpu`, `cuda` (the first GPU) and `cuda:N` (GPU number N, from 0)."),
    ("E0453", "no such GPU", "The machine has GPUs, but not of this number. They count from 0. CUDA_VISIBLE_DEVICES hides GPUs and renumbers the others."),
    ("E0454", "standard output cannot be written to", "The result could not be printed, most often because output goes to a file on a full disk. A reader that stops early (`nashost runs | head`) is not an error."),
    ("E0455", "signals cannot be watched", "The system refused signal handlers, so that Ctrl-C could not be handled cleanly."),
    ("E0456", "a worker process cannot work", "Searches and trainings happen in processes of their own. The system refused to start one or to limit its memory, or its driver is gone. The message has the system's words."),
    ("E0457", "the self-check failed", "Host, plugins and device do not work together on this machine. The message says which check failed; `nashost doctor` shows the facts."),
    ("E0458", "the sandbox cannot be set up", "`--sandbox` needs Landlock 3 (Linux 6.2) and seccomp filters, and starts the program once more inside. The message says what is missing. It never goes on without: leave `--sandbox` and `run.sandbox` out if you trust the plugins."),
    ("E0459", "a command without a sandbox", "`--sandbox` or `run.sandbox` asks for the sandbox, and this command would load plugins outside it. Use one of the commands that have it, or leave it out."),
    ("E0501", "the loss is not a number", "Training or validation loss became infinite or NaN. Lower `train.lr`, use fp32, and look at the images with `nashost data check`. Checkpoints of earlier epochs are intact."),
    ("E0502", "training settings that cannot work", "Epochs of 0, batches under 2, a learning rate that is not positive, and the like. All are listed."),
    ("E0503", "too few images", "The training part needs at least two images and the validation part one."),
    ("E0504", "images do not fit the network", "Channels or resolution of the decoded images differ from what the network was built for."),
    ("E0505", "a metric for choosing checkpoints is missing", "Checkpoints are chosen by subset accuracy and macro F1 on the validation part. Put `subset-accuracy` and `f1` into `eval.metrics`."),
    ("E0506", "libtorch failed", "The message has libtorch's own words."),
    ("E0508", "a checkpoint cannot be written", "Look at permissions and free space. Earlier checkpoints are intact."),
    ("E0509", "the device's memory is full", "The memory of the GPU, or the computer's for training on the CPU. Raise `train.micro_batches`, which divides the memory of a step, lower `train.batch` or `train.resolution`, or use bf16."),
    ("E0510", "the state of another training", "A training that was interrupted can only be taken up with the settings, data and plugins that it was started with. Give them again, or remove ckpt/<trial>/state.safetensors to train the trial from its start."),
    ("E0511", "a training's state is damaged", "The state, or a checkpoint that it names, is not what was written, so it is not trained on. Remove ckpt/<trial>/state.safetensors to train the trial from its start, and check the disk."),
    ("E0601", "predictions do not fit together", "Labels, images, scores, targets or thresholds differ in number. This is a bug of nashost; please report it."),
    ("E0602", "a score is not a probability", "A model's score is NaN or outside 0…1. Usually training diverged."),
    ("E0603", "a predictions file cannot be written", "Look at permissions and free space. The old file, if any, is untouched."),
    ("E0604", "a predictions file cannot be read", "The message has the system's reason."),
    ("E0605", "a predictions file is malformed", "Every problem is listed with its line."),
    ("E0606", "two metrics answer one name", "Choose one of them in `eval.metrics`."),
    ("E0607", "a metric answers something else", "Its answer is not what it declares. This is a bug of the plugin."),
    ("E0608", "baselines cannot be fitted", "There is no training image to fit them on."),
    ("E0701", "a bad run name", "Names of runs have letters, digits, `-`, `_` and `.`, and at most 64 of them."),
    ("E0702", "a file cannot be written", "Permissions, a read-only file system, or another file of that name."),
    ("E0703", "no space", "The disk or the quota is full, or less than 64 MiB is free before the start. What was written stays sound."),
    ("E0704", "the file system failed", "The message names the file and has the system's words."),
    ("E0705", "no such run", "No run of that name or id, or several. The message names the nearest."),
    ("E0706", "the run is in use", "Another process writes this run. The kernel frees the lock when that process ends."),
    ("E0707", "the event log is damaged", "A line of events.jsonl was changed or lost. Earlier events are sound, and nothing was changed."),
    ("E0708", "events of a newer nashost", "Update nashost to read this run."),
    ("E0709", "a record cannot be written", "This is a bug of nashost; please report it."),
    ("E0710", "events contradict each other", "events.jsonl holds events in an order that no run makes."),
    ("E0711", "a bad log filter", "NASHOST_LOG is a level or a list such as `info,plugin=trace`."),
    ("E0712", "a file of a run is damaged", "The file is not what nashost wrote. Restore it from a copy; `nashost rebuild` makes the derived ones again."),
    ("E0713", "a trial cannot be packed", "The driver packs trials with a result, for its memory. Everything is in events.jsonl; `nashost resume` goes on."),
    ("E0720", "no such table", "`nashost report --table` takes the short names of the tables that the report has; the message lists them."),
    ("E0721", "comparisons cannot be read", "`nashost report --comparisons` takes JSON files: what `nashost compare --format json` prints, or a list of objects with the fields a, b, metric, difference, ci95, p, p_adjusted, test and note, of which a, b and metric must be there. a and b are names of methods as the report has them."),
    ("E0801", "the trial is of another split", "The trial was made for a split that the data no longer have. Give the run's split.json as `split.file`."),
    ("E0802", "pretrained weights do not fit", "The file is missing, damaged, or of another network. Every wrong, missing and unexpected tensor is listed."),
    ("E0803", "a network cannot be built", "The graph of the architecture is not valid, or libtorch refused it. The message names the node."),
    ("E0804", "every trial failed", "`nashost show` tells why each of them did."),
    ("E0805", "the run is not what it was", "A run is taken up with the configuration, plugins, data and split that it began with, so that its results belong together. Every difference is listed with both values. Restore it, or name what may differ with `--allow-change`; the record says so then."),
    ("E0806", "a plugin was replaced during a run", "The driver and its workers must have the same plugins, and a file changed between the start of the one and the other. The run stops, and no trial is given up for it. `nashost resume` tells what differs."),
    ("E0810", "search workers ended early", "This is a bug of nashost; please report it."),
    ("E0811", "the run was stopped", "By Ctrl-C or a signal. Everything that was finished is recorded."),
    ("E0812", "the search found nothing", "No structure kept the budgets or could be scored. Loosen `search.budget` or raise the number of evaluations."),
    ("E0813", "the search does not repeat", "A search is taken up by asking the strategy again and telling it the recorded answers. It proposed another structure than the record has, so plugin or space changed, or draw without the seeds they are given; or a budget is measured, such as `latency`, and `search.state` was lost. Start a new run."),
    ("E0814", "an error of a worker", "A worker process told an error that this version does not know. The message is the worker's."),
    ("E0815", "a worker process died", "The process that trained or searched was ended by a signal or ended itself, most often because of a plugin. The message shows the end of its log. The attempt is lost, the run goes on; after `run.attempts` attempts that get no further, the trial is given up."),
    ("E0816", "a worker process was stuck", "It made no progress for as long as `run.stall` allows, or gave no sign of life for a minute, and was ended. Raise `run.stall` if single steps take that long."),
    ("E0817", "a worker process made no sense", "Driver and worker speak lines of JSON, and something else came. Usually a plugin wrote to a file descriptor that is not its own."),
    ("E0818", "a worker process ran out of memory", "The kernel ended it, or an allocation failed under `run.worker_memory`. With `run.halve_on_oom` the next attempt computes each batch in two parts. Smaller `train.batch` or `train.resolution`, or fewer `-j`, need less."),
    ("E0819", "the search was given up", "Its process ended several times without one new answer. The message shows the end of its log, which names the plugin that was at work. What was found is recorded; `nashost resume` tries again."),
    ("E0820", "the budget is used up", "The run stopped at one of `run.max_time`, `run.max_trials`, `run.max_gpu_hours` and `run.max_disk` before a trial was done. Everything so far is kept. Raise the budget: `nashost resume --max-time 4h`."),
    ("E0821", "the run has not ended", "Only a run that has ended can be compared with its repetition. `nashost resume` ends it."),
    ("E0901", "a file of results cannot be used", "`nashost stats` reads CSV files with the columns `method` and `value` (or the one that `--metric` names) and, to match runs, `seed`, `fold`, `dataset` or `pair`; a run's trials.csv; and the 2023 study's GridSearchResults.csv and output.csv. The message says what is wrong, with the line."),
    ("E0902", "there is nothing to compare", "A comparison needs two methods with results, and the baseline must be one of them. The message says which there are."),
    ("E0903", "runs that cannot be compared", "The runs have other labels or images, or none of their trials has the metric. Compare runs of the same data."),
    ("E0904", "a statistic is undefined", "The values do not have what the statistic needs, such as two of them or any spread, or a level is not between 0 and 1, or there are fewer than 1000 resamples, yet some. The message says which."),
    ("E0905", "a file of patients cannot be used", "`--groups` names a CSV file with the columns `image_id` and `group`, a row for each test image."),
    ("E0911", "a study that makes no sense", "The file that defines the study has a problem that its schema cannot see: a name that cannot be used, a grid without values, a control of a method that does not search, or a choice by the test part outside `mode = \"study\"`. All problems are listed; nothing was started."),
    ("E0912", "the study is another one", "The folder of this name holds a study whose runs have other settings, other data or other splits. Runs with different settings are never mixed. Give the changed study another name. Adding methods, datasets and seeds is no change."),
    ("E0913", "the study is being worked on", "Another process holds the study's folder. Wait for it, or stop it; what it has finished is kept."),
    ("E0915", "the process of a run cannot be started", "A study makes each run in a process of its own. The system refused to start one, most likely for want of memory or processes, or because the program was moved."),
    ("E0916", "runs of the study failed", "The message names the first one and its reason; summary.json and the logs have all. Without `--keep-going` nothing more is started after a failure. `--retry-failed` makes failed runs again."),
    ("E0920", "no trained network", "The run has no such trial, or the trial has no result. `nashost show` lists the trials of a run; `best` is the one that was best on the validation part."),
    ("E0921", "a checkpoint cannot be used", "The weights that the run names are gone or are not what the run wrote, so nothing is made of them. `nashost clean --keep` removes checkpoints of all but the best trials."),
    ("E0922", "a run without normalisation", "Networks are used with the mean and the deviation that they were trained with. Runs of the first versions of nashost did not record them; `nashost repeat` makes such a run again."),
    ("E0923", "a network cannot be exported", "The message says what the format cannot hold, or what libtorch refused. Weights must be those of the graph, in 32 bits; an ONNX file is smaller than 2 GiB."),
    ("E0924", "images cannot be listed", "`nashost predict` takes a folder of PNG, JPEG and TIFF files, or a CSV file with a column that names files relative to its folder (`--column`, `image` if left out)."),
    ("E0925", "images that have no scores", "Some images are missing, damaged or of an unsupported kind. The message names each and says why, and so does the column `why` of the answer, in which all other images have their scores."),
    ("E0926", "the run's images were no image files", "`nashost predict` decodes PNG, JPEG and TIFF files with the code of `csv-images`, which gives the pixels of `csv-images`, `medmnist` and `phantom`. A run on another dataset, such as `dicom`, saw pixels that other code made, so its network is not shown these files. Export it with `nashost export --as onnx` and give it pixels that were decoded as for the run."),
];

/// Returns the code if it is one of nashost's.
pub(crate) fn known(code: &str) -> Option<&'static str> {
    CODES.iter().map(|entry| entry.0).find(|known| *known == code)
}

/// Returns what a code of nashost's means, in a few words.
pub(crate) fn title(code: &str) -> Option<&'static str> {
    CODES.iter().find(|entry| entry.0 == code).map(|entry| entry.1)
}

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
            assert!(!title.ends_with('.') && text.ends_with('.') && text.len() > 30, "{code}");
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
