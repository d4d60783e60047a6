//! The page: head, contents, sections.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::{
    ReportData,
    section::{self, Section},
};

const STYLE: &str = include_str!("style.css");

/// Writes the page.
///
/// It is one file that works from a disk without a network. Its content security policy forbids
/// scripts, and everything else that would load or send something; only the style sheet inside, by its
/// hash, is allowed, and pictures inside, if there are any. All texts are escaped.
pub fn html(data: &ReportData) -> String {
    let runs: Vec<&str> = data.runs.iter().map(|run| run.id.as_str()).collect();
    let mut about = format!("{} {}", if runs.len() == 1 { "Run" } else { "Runs" }, runs.join(", "));
    if !data.generator.is_empty() {
        about += &format!(" · written by {}", data.generator);
    }
    let images = if section::has_pictures(data) { Images::Inside } else { Images::Forbidden };
    frame(&data.title, &about, &section::all(data), images)
}

/// Whether a page shows images, which lie in it as `data:` addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    /// The policy forbids all images.
    Forbidden,
    /// The policy allows images inside the page, and no others.
    Inside,
}

/// Writes a page of `sections` under a heading and a line about its origin.
pub(crate) fn frame(title: &str, about: &str, sections: &[Section], images: Images) -> String {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; {}base-uri 'none'; form-action 'none'",
        BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        if images == Images::Inside { "img-src data:; " } else { "" }
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { (about) }
                    nav aria-label="Contents" { ul { @for section in sections {
                        li { a href={ "#" (section.id) } { (section.title) } }
                    } } }
                }
                main {
                    @if sections.is_empty() { p { "There is nothing to report yet." } }
                    @for section in sections {
                        section id=(section.id) {
                            h2 { (section.title) }
                            p.lead { (section.lead) }
                            (section.body)
                        }
                    }
                }
                footer {
                    p { "A tool for research: nothing in here is a medical device, and no result is medical advice." }
                    p { "This page holds everything that it shows. It loads nothing and sends nothing. Rest the pointer on a mark to read its value." }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Search, testing};

    #[test]
    fn every_section_is_there_and_nothing_is_loaded() {
        let page = html(&testing::report());
        for id in [
            "result",
            "warnings",
            "comparison",
            "labels",
            "curves",
            "decisions",
            "calibration",
            "saliency",
            "subgroups",
            "search",
            "attribution",
            "network",
            "training",
            "cost",
            "provenance",
        ] {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
            assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
        }
        for bad in [
            "<script",
            "<link",
            "<img",
            "<iframe",
            "http://",
            "https://",
            "url(",
            "@import",
            " style=\"",
            "NaN",
        ] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn no_text_becomes_markup() {
        let attack = "<script>alert(1)</script>\"'&";
        let text = serde_json::to_string(&testing::report()).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        poison(&mut value, attack);
        let page = html(&serde_json::from_value(value).unwrap());
        assert!(page.matches("&lt;script&gt;").count() > 20, "the texts are there");
        assert!(!page.contains("<script") && !page.contains("alert(1)\""), "and are no markup");
    }

    /// Puts `attack` into every text but those that are matched with others.
    fn poison(value: &mut serde_json::Value, attack: &str) {
        match value {
            serde_json::Value::String(text) if text != "test" && !text.starts_with("macro_") => {
                text.push_str(attack);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poison(item, attack)),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(|item| poison(item, attack)),
            _ => {}
        }
    }

    #[test]
    fn undefined_is_shown_as_such_and_small_groups_are_withheld() {
        let page = html(&testing::report());
        assert!(page.contains("undefined: the test part has only one class"));
        assert!(page.contains("title=\"withheld: fewer than 10 findings\""));
        assert!(page.matches("0.123").count() == 1, "group A alone has a value");
    }

    #[test]
    fn an_empty_report_is_a_page() {
        assert!(html(&ReportData::default()).contains("nothing to report"));
    }

    #[test]
    fn a_hundred_thousand_candidates_make_a_small_page() {
        let mut data = testing::report();
        let values = (0..100_000_u64).map(|i| Some((i * 7919 % 10_007) as f64));
        let costs = (0..100_000_u64).map(|i| Some((100_000 + i * 104_729 % 100_003) as f64));
        data.runs[0].search = Some(Search {
            higher_is_better: true,
            values: values.collect(),
            costs: costs.collect(),
            ..Search::default()
        });
        let page = html(&data);
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
    }
}
