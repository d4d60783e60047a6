//! The event log of a run under attack.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// The whole lines of `events.jsonl` so far.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<String>);

impl Record {
    /// Whether nothing was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at the log again; says what is no longer in it.
    pub(super) fn follow(&mut self, log: &Path) -> Option<String> {
        let bytes = fs::read(log).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<String> =
            String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect();
        let lost = self.0.iter().enumerate().find(|(number, line)| lines.get(*number) != Some(line));
        let problem = lost.map(|(number, line)| {
            let now = lines.get(number).map_or("nothing", String::as_str);
            format!("line {} of the events was `{line}` and is now `{now}`", number + 1)
        });
        self.0 = lines;
        problem
    }

    /// Whether the run has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.0.last().is_some_and(|line| line.contains("\"run-finished\""))
    }

    /// Says what happened more than once, or in vain.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        for line in &self.0 {
            let Ok(Value::Object(record)) = serde_json::from_str(line) else {
                return vec![format!("a line of the events is no JSON object: {line}")];
            };
            let event = &record["event"];
            let (trial, report) = (&event["trial"], &event["report"]);
            let what = match (event["type"].as_str(), report["event"].as_str()) {
                (Some("candidate"), _) => format!("candidate {} answered", event["id"]),
                (Some("search-finished"), _) => "the search finished".to_owned(),
                (Some("trial"), Some("finished")) => format!("trial {trial} finished"),
                (Some("trial"), Some("epoch")) => format!("epoch {} of trial {trial} told", report["epoch"]),
                (Some("trial"), Some("failed")) if report["kind"] == "failed" => {
                    return vec![format!("trial {trial} was given up: {}", report["message"])];
                }
                _ => continue,
            };
            *count.entry(what).or_default() += 1;
        }
        let twice = count.into_iter().filter(|(_, times)| *times > 1);
        twice.map(|(what, times)| format!("{what} {times} times")).collect()
    }
}
