//! Forwards a plugin's own `tracing` events, and its panics, to the host.
//!
//! Statics are not shared between libraries, so the host's subscriber sees nothing of a plugin
//! without this bridge.

use std::fmt;

use tracing::{Event, Level, Metadata, Subscriber, field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

use super::{
    guard,
    host::{HostRef, LogRecord},
};

struct Forward {
    host: HostRef,
    max_level: u8,
}

#[derive(Default)]
struct Fields {
    message: String,
    others: serde_json::Map<String, serde_json::Value>,
}

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.others.insert(field.name().to_owned(), format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl<S> Layer<S> for Forward
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.max_level {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        number(*metadata.level()) <= self.max_level
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span_path = context
            .event_scope(event)
            .map(|scope| scope.from_root().map(|span| span.name()).collect::<Vec<_>>().join(":"))
            .unwrap_or_default();
        let others = if fields.others.is_empty() {
            String::new()
        } else {
            serde_json::Value::Object(fields.others).to_string()
        };
        let metadata = event.metadata();
        self.host.log(&LogRecord {
            level: number(*metadata.level()),
            line: metadata.line().unwrap_or(0),
            target: metadata.target(),
            span_path: &span_path,
            message: &fields.message,
            fields: &others,
        });
    }
}

/// Installs the bridge. Called once per plugin, from `init`.
pub(crate) fn install(host: HostRef) {
    let forward = Forward { host, max_level: host.log_max_level() };
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(forward)).is_err() {
        host.log(&LogRecord {
            level: 2,
            line: line!(),
            target: module_path!(),
            span_path: "",
            message: "the plugin installed its own tracing subscriber; its logs do not reach the host",
            fields: "",
        });
    }
    // Each library has its own copy of the standard library, hence its own panic hook.
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("panic with a non-string payload");
        tracing::error!(target: "panic", location, "{text}");
        guard::note_panic_location(location);
    }));
}
