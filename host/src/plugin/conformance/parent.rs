//! The parent's side: starts the children and judges what they did.

use std::{
    io::Read,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nashost_plugin_api::{
    component::Kind,
    manifest::Manifest,
    testing::{Finding, Verdict},
};
use serde_json::{Map, Value};

use super::{Conformance, FILE_RULES, Judgement, Line, Task, rules};
use crate::{
    error::{Error, Exit, Result},
    plugin::{manifest, probe::Probed},
};

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Characters of a child's words that are repeated in a verdict.
const QUOTED: usize = 300;

/// Longest times before a child is ended.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one rule.
    pub rule: Duration,
    /// For the call that was asked to stop.
    pub cancel: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rule: Duration::from_secs(120), cancel: Duration::from_secs(10) }
    }
}

/// Tries every rule on the plugin at `file`. `settings` holds settings by component id. `probe` loads
/// the plugin in a child and lists its components; `command` is a `nashost` that serves the task at
/// the path which is added to it.
///
/// # Errors
///
/// Fails if a child cannot be started.
pub fn test(
    file: &Path,
    settings: &Map<String, Value>,
    limits: Limits,
    probe: impl FnOnce() -> Result<Probed>,
    command: impl Fn() -> Result<Command>,
) -> Result<Conformance> {
    let mut judgements = Vec::new();
    let mut judge = |index: usize, problem: Option<String>, fine: &str| {
        let (rule, demands) = FILE_RULES[index];
        let verdict = if problem.is_some() { Verdict::Failed } else { Verdict::Passed };
        let detail = problem.unwrap_or_else(|| fine.to_owned());
        judgements.push(Judgement {
            component: None,
            kind: None,
            rule: rule.to_owned(),
            demands,
            verdict,
            detail,
        });
        verdict == Verdict::Passed
    };
    let mut plugin = String::new();
    let mut components = Vec::new();
    match manifest::read(file) {
        Err(why) => drop(judge(0, Some(why.to_string()), "")),
        Ok(manifest) => {
            plugin.clone_from(&manifest.plugin.id);
            if judge(0, manifest_problem(&manifest), &format!("{plugin} {}", manifest.version)) {
                match probe() {
                    Err(error) => drop(judge(1, Some(error.message), "")),
                    Ok(probed) => {
                        judge(1, None, &format!("ABI {}", manifest.abi_major));
                        let differences: Vec<String> =
                            probed.differences(&manifest.plugin.components).collect();
                        let problem = (!differences.is_empty()).then(|| differences.join("; "));
                        judge(2, problem, &format!("{} components", probed.components.len()));
                        components = probed.components;
                    }
                }
            }
        }
    }
    for component in components {
        let own = settings.get(&component.id).cloned();
        let task = Task {
            file: file.to_owned(),
            kind: component.kind,
            component: component.id.clone(),
            settings: own,
            others: settings.clone(),
        };
        judgements.extend(component_judgements(&task, limits, command()?)?);
    }
    let passed = judgements.iter().all(|judgement| judgement.verdict != Verdict::Failed);
    Ok(Conformance { plugin, file: file.to_owned(), passed, judgements })
}

/// What is wrong with a manifest, if anything.
fn manifest_problem(manifest: &Manifest) -> Option<String> {
    if let Err(misfit) = manifest::fits(manifest) {
        return Some(misfit.to_string());
    }
    let is_name = |id: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !id.is_empty() && id.chars().all(fits) && !id.starts_with('-') && !id.ends_with('-')
    };
    let about = &manifest.plugin;
    let ids = || about.components.values().flatten().chain([&about.id]);
    if let Some(id) = ids().find(|id| !is_name(id)) {
        return Some(format!("`{id}` is not a name of lower-case letters, digits and hyphens"));
    }
    if about.description.trim().is_empty() {
        return Some("it has no description".to_owned());
    }
    if about.components.values().all(Vec::is_empty) {
        return Some("it lists no component".to_owned());
    }
    let unsorted = about.components.values().find(|ids| !ids.is_sorted());
    unsorted.map(|ids| format!("the components {} are not sorted", ids.join(", ")))
}

/// Runs a child and returns a judgement for every rule of its component.
fn component_judgements(task: &Task, limits: Limits, mut command: Command) -> Result<Vec<Judgement>> {
    let failed = |e: std::io::Error| {
        Error::new(Exit::Environment, "E0430", format!("a test process cannot be run: {e}"))
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let (input, report) = (folder.path().join("task.json"), folder.path().join("report.jsonl"));
    std::fs::write(&input, serde_json::to_vec(task).unwrap_or_default()).map_err(failed)?;
    std::fs::write(&report, "").map_err(failed)?;
    let mut child = command
        .arg(&input)
        .arg(&report)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let end = watch(&mut child, &report, limits).map_err(failed)?;
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let lines: Vec<Line> = read(&report);
    Ok(judge(task.kind, &task.component, &lines, &end, &out, &err))
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Reads whole lines; the last one may be half written.
fn read(report: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(report).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How a child came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Exit(ExitStatus),
    /// Ended by the parent after this time without a verdict.
    Late(Duration),
}

fn watch(child: &mut Child, report: &Path, limits: Limits) -> std::io::Result<End> {
    let (mut size, mut since, mut limit) = (u64::MAX, Instant::now(), limits.rule);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exit(status));
        }
        let now = report.metadata()?.len();
        if now != size {
            (size, since) = (now, Instant::now());
            let stopping = matches!(read(report).last(), Some(Line::Begins(rule)) if rule == "cancel");
            limit = if stopping { limits.cancel } else { limits.rule };
        }
        if since.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(End::Late(limit));
        }
        std::thread::sleep(LOOK);
    }
}

fn judge(kind: Kind, component: &str, lines: &[Line], end: &End, out: &[u8], err: &[u8]) -> Vec<Judgement> {
    let finding = |rule: &str| {
        lines.iter().find_map(|line| match line {
            Line::Ends(finding) if finding.rule == rule => Some(finding.clone()),
            _ => None,
        })
    };
    let reached = |rule: &str| lines.contains(&Line::Begins(rule.to_owned()));
    let judgement = |(rule, demands): (&str, &'static str)| {
        let finding = match rule {
            "stdout" => stdout(out),
            _ => finding(rule).unwrap_or_else(|| {
                let (verdict, detail) = match reached(rule) {
                    true => (Verdict::Failed, ended(rule, end, err)),
                    false => (Verdict::Skipped, format!("not reached: {}", ended(rule, end, err))),
                };
                Finding { rule: rule.to_owned(), verdict, detail }
            }),
        };
        let Finding { rule, verdict, detail } = finding;
        Judgement { component: Some(component.to_owned()), kind: Some(kind), rule, demands, verdict, detail }
    };
    let mut all: Vec<Judgement> = rules(kind).map(judgement).collect();
    // A child that ends badly between two rules has broken one all the same.
    let sound = matches!(end, End::Exit(status) if status.success());
    if !sound
        && all.iter().all(|j| j.verdict != Verdict::Failed)
        && let Some(first) = all.iter_mut().find(|j| j.verdict == Verdict::Skipped)
    {
        first.verdict = Verdict::Failed;
    }
    all
}

fn stdout(out: &[u8]) -> Finding {
    let (verdict, detail) = match out {
        [] => (Verdict::Passed, "nothing was written".to_owned()),
        bytes => {
            let text = String::from_utf8_lossy(bytes);
            let first: String = text.lines().next().unwrap_or_default().chars().take(QUOTED).collect();
            (
                Verdict::Failed,
                format!("{} bytes were written, first `{first}`; log with `tracing`", bytes.len()),
            )
        }
    };
    Finding { rule: "stdout".to_owned(), verdict, detail }
}

fn ended(rule: &str, end: &End, err: &[u8]) -> String {
    let text = String::from_utf8_lossy(err);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let last: String = last.chars().take(QUOTED).collect();
    match end {
        End::Late(time) if rule == "cancel" => {
            format!("it was still working {} s after it was asked to stop", time.as_secs())
        }
        End::Late(time) => format!("no answer within {} s", time.as_secs()),
        End::Exit(status) => match status.signal() {
            Some(signal) => format!("the process was ended by signal {signal}; its last words: {last}"),
            None => format!("the process ended with {status}; its last words: {last}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(verdict: Verdict, all: &[Judgement]) -> Vec<&str> {
        all.iter().filter(|j| j.verdict == verdict).map(|j| j.rule.as_str()).collect()
    }

    fn passed(rule: &str) -> [Line; 2] {
        let finding = Finding { rule: rule.to_owned(), verdict: Verdict::Passed, detail: String::new() };
        [Line::Begins(rule.to_owned()), Line::Ends(finding)]
    }

    #[test]
    fn a_crash_belongs_to_the_rule_that_had_begun() {
        let mut lines = passed("settings").to_vec();
        lines.push(Line::Begins("records".to_owned()));
        let end = End::Exit(ExitStatus::from_raw(11));
        let all = judge(Kind::Dataset, "x", &lines, &end, b"", b"oh\n");
        assert_eq!(by(Verdict::Failed, &all), ["records"]);
        assert_eq!(by(Verdict::Passed, &all), ["settings", "stdout"]);
        assert!(all[1].detail.contains("signal 11") && all[1].detail.contains("oh"), "{}", all[1].detail);
    }

    #[test]
    fn a_process_that_ends_between_two_rules_does_not_pass() {
        let end = End::Exit(ExitStatus::from_raw(256));
        let all = judge(Kind::Dataset, "x", &passed("settings"), &end, b"", b"");
        assert_eq!(by(Verdict::Failed, &all), ["records"]);
    }

    #[test]
    fn output_and_deafness_are_told() {
        let lines = [Line::Begins("cancel".to_owned())];
        let late = End::Late(Duration::from_secs(10));
        let all = judge(Kind::Dataset, "x", &lines, &late, b"hello\n", b"");
        assert_eq!(by(Verdict::Failed, &all), ["cancel", "stdout"]);
        let detail = |rule: &str| &all.iter().find(|j| j.rule == rule).unwrap().detail;
        assert!(detail("cancel").contains("10 s after it was asked"));
        assert!(detail("stdout").contains("6 bytes") && detail("stdout").contains("hello"));
    }
}
