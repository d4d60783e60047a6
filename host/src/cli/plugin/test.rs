//! `nashost plugin test`.

use std::process::Command;

use nashost_plugin_api::testing::Verdict;
use serde_json::{Map, Value, json};

use super::{file_of, objection, probe, this_program};
use crate::{
    cli::{
        Context,
        args::{Format, PluginTestArgs},
        output::Table,
    },
    config::assignment,
    device,
    error::{Error, Exit, Result},
    plugin::conformance::{self, Limits},
};

/// Tries every rule of the contract on a plugin.
pub(super) fn command(args: &PluginTestArgs, context: &Context) -> Result<Exit> {
    let registry = context.registry()?;
    let file = file_of(&args.plugin, &registry)?;
    if let Some(error) = objection(&file, &registry) {
        return Err(error);
    }
    let settings = settings(&args.set)?;
    let child = || {
        let mut command = Command::new(this_program()?);
        for place in registry.places() {
            command.arg("--plugin-path").arg(place);
        }
        command.args(["plugin", "conform"]);
        Ok(command)
    };
    let conformance = conformance::test(&file, &settings, Limits::default(), || probe(&file), child)?;
    if context.out.format() == Format::Json {
        context.out.json(&conformance)?;
    } else {
        let mut table = Table::new(&["component", "rule", "verdict", "detail"]);
        for judgement in &conformance.judgements {
            table.row([
                json!(judgement.component),
                json!(judgement.rule),
                json!(judgement.verdict),
                json!(judgement.detail),
            ]);
        }
        context.out.table(&table)?;
    }
    let [passed, failed, skipped] =
        [Verdict::Passed, Verdict::Failed, Verdict::Skipped].map(|verdict| conformance.count(verdict));
    context.out.note(&format!("{passed} rules kept, {failed} broken, {skipped} not tried"));
    if conformance.passed {
        return Ok(Exit::Ok);
    }
    let broken = conformance.judgements.iter().filter(|judgement| judgement.verdict == Verdict::Failed);
    let errors = broken.map(|judgement| {
        let place = judgement.component.as_deref().unwrap_or(&conformance.plugin);
        let message = format!("`{place}` breaks the rule `{}`: {}", judgement.rule, judgement.detail);
        Error::new(Exit::No, "E0431", message).help(format!("the rule: {}", judgement.demands))
    });
    Err(Error::all(errors).unwrap_or_else(|| Error::new(Exit::Bug, "E0100", "a verdict without a rule")))
}

/// Reads `COMPONENT.KEY=VALUE` into settings by component.
fn settings(assignments: &[String]) -> Result<Map<String, Value>> {
    let mut layer = crate::config::Layer::default();
    for text in assignments {
        layer.merge(assignment(text)?);
    }
    for (component, settings) in &layer.values {
        if !settings.is_object() {
            let message = format!("--set {component}=…: the key names no setting of a component");
            return Err(Error::new(Exit::Usage, "E0202", message)
                .help("write it as `--set COMPONENT.KEY=VALUE`, such as `--set my-search.evaluations=9`"));
        }
    }
    Ok(layer.values)
}

/// Tries the rules on one component: what a child of `command` does.
pub(super) fn conform(task: &std::path::Path, report: &std::path::Path, context: &Context) -> Result<Exit> {
    conformance::serve(task, report, &context.registry()?, device::libtorch_abi())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_by_component() {
        let words = ["my-search.evaluations=9".to_owned(), "x.a.b=two".to_owned()];
        let settings = settings(&words).unwrap();
        assert_eq!(
            Value::Object(settings),
            json!({"my-search": {"evaluations": 9}, "x": {"a": {"b": "two"}}})
        );
        assert_eq!(super::settings(&["my-search=9".to_owned()]).unwrap_err().code, "E0202");
    }
}
