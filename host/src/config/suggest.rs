//! "Did you mean": the nearest known name.

/// Returns the candidate that `name` most likely stands for, if any is near.
///
/// Besides slips of the keyboard it understands abbreviations, because those are what other tools
/// call the same thing: `learning_rate` for `lr`, `batch_size` for `batch`.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= 1.0)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// How far apart two names are; up to 1 is near.
fn distance(name: &str, candidate: &str) -> f64 {
    let (name, candidate) = (name.to_lowercase(), candidate.to_lowercase());
    if abbreviates(&name, &candidate) || abbreviates(&candidate, &name) {
        return 0.5;
    }
    // A third of the letters may be wrong: one in `lr`, four in `convolutions`.
    let length = name.chars().count().max(candidate.chars().count());
    let tolerance = (length / 3).max(1);
    strsim::damerau_levenshtein(&name, &candidate) as f64 / tolerance as f64
}

/// Whether `short` is the initials or the leading words of `long`.
fn abbreviates(short: &str, long: &str) -> bool {
    let words: Vec<&str> = long.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect();
    let initials: String = words.iter().filter_map(|word| word.chars().next()).collect();
    words.len() > 1
        && (initials == short
            || (1..words.len()).any(|n| words[..n].concat() == short.replace(['_', '-'], "")))
}

/// Returns a help line for an unknown `name`: the nearest candidate, or all of them.
pub fn help<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(found) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{found}`?"));
    }
    let known: Vec<String> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    (!known.is_empty()).then(|| format!("known: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_abbreviations() {
        let keys = ["epochs", "batch", "lr", "resolution", "weight_decay"];
        for (written, meant) in [
            ("epoch", Some("epochs")),
            ("learning_rate", Some("lr")),
            ("batch_size", Some("batch")),
            ("resoluton", Some("resolution")),
            ("weight-decay", Some("weight_decay")),
            ("LR", Some("lr")),
            ("colour", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
        assert_eq!(nearest("zenas", ["resnet50", "zennas"]), Some("zennas"));
    }

    #[test]
    fn lists_what_there_is_if_nothing_is_near() {
        assert_eq!(help("colour", ["a_long_key", "another"]).unwrap(), "known: `a_long_key`, `another`");
        assert_eq!(help("colour", []), None);
    }
}
