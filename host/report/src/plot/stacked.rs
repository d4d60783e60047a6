//! Times that add up, as one bar.

use maud::{Markup, html};

use super::{WIDTH, look, short};
use crate::number;

/// One bar of `parts`, in seconds, in the order of the looks; `note` follows them in the caption.
pub(crate) fn stacked(title: &str, parts: &[(&str, f64)], note: &Markup) -> Markup {
    let sum: f64 = parts.iter().map(|(_, seconds)| seconds).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut left = 0.0;
    let bars: Vec<_> = parts
        .iter()
        .map(|(name, seconds)| {
            let begin = left;
            left += seconds / sum * WIDTH;
            (*name, *seconds, begin, left - begin)
        })
        .collect();
    let words: Vec<_> = parts.iter().map(|(name, s)| format!("{name} {}", number::duration(*s))).collect();
    html! {
        figure {
            h4 { (title) }
            svg role="img" aria-label=(format!("{title}: {}", words.join(", "))) viewBox=(format!("0 0 {WIDTH} 28")) {
                desc { (words.join(", ")) }
                @for (index, (name, seconds, x, width)) in bars.iter().enumerate() {
                    rect class={ "bar " (look(index)) } x=(short(*x)) y="2" width=(short(*width)) height="24" {
                        title { (name) ": " (number::duration(*seconds)) }
                    }
                }
            }
            figcaption { (words.join(", ")) "." (note) }
        }
    }
}
